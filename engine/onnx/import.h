// Reading ONNX models: the one door of this folder. A model comes out verified and normalised, or
// not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace lanewise {

struct ImportOptions {
  // Where a model that is given as bytes finds external data; empty refuses it. A model that is
  // given as a file uses the file's own folder.
  std::string base_folder;
  // Largest file accepted, the model's or one of external data.
  std::uint64_t max_bytes = std::uint64_t{1} << 40;
};

// The graph of a serialised onnx.ModelProto. Tensors lie in `bytes` where they are aligned; `owner`
// keeps those alive. Throws ModelError with every fault, UnsupportedError with every operator that
// is missing, ResourceError when the model asks for far more memory than its size explains.
std::shared_ptr<const Graph> import_model(std::span<const std::byte> bytes,
                                          std::shared_ptr<const void> owner,
                                          const ImportOptions& options = {});

// The same for a file, which stays mapped as long as the graph lives.
std::shared_ptr<const Graph> import_file(const std::string& path,
                                         const ImportOptions& options = {});

// All problems of a model, one line each; empty when it loads.
std::vector<std::string> check_model(std::span<const std::byte> bytes,
                                     const ImportOptions& options = {});
std::vector<std::string> check_file(const std::string& path, const ImportOptions& options = {});

}  // namespace lanewise
