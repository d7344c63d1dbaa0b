// Files as read-only memory: the model itself, and external data beside it. No ONNX here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lanewise::onnx {

// A file mapped read-only and privately. Another process that shortens the file while it is mapped
// breaks every reader of it: replace model files by renaming, as is usual.
class MappedFile {
 public:
  // Takes over `descriptor`. `name` is for messages. Throws ModelError when this is not a regular
  // file with something in it, ResourceError when it is larger than `max_bytes`.
  static std::shared_ptr<const MappedFile> map(int descriptor, const std::string& name,
                                               std::uint64_t max_bytes);
  static std::shared_ptr<const MappedFile> open(const std::string& path, std::uint64_t max_bytes);

  MappedFile(const std::byte* data, std::size_t size) : bytes_(data, size) {}
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  // Gives back the memory of whole pages among these bytes; the next read fetches them again.
  void forget(const std::byte* data, std::size_t size) const noexcept;

 private:
  std::span<const std::byte> bytes_;
};

// The files that a model may name for its tensors: regular files below one folder, reached without
// a symbolic link, with no second hard link. Each is mapped once.
class ExternalFiles {
 public:
  // An empty folder refuses every file.
  ExternalFiles(std::string folder, std::uint64_t max_bytes)
      : folder_(std::move(folder)), max_bytes_(max_bytes) {}

  // Throws ModelError naming the location and the reason.
  std::shared_ptr<const MappedFile> get(std::string_view location);
  // The sizes of all files so far.
  std::uint64_t mapped_bytes() const { return mapped_bytes_; }

 private:
  int open_below(std::string_view location) const;

  std::string folder_;
  std::uint64_t max_bytes_;
  std::uint64_t mapped_bytes_ = 0;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

// The folder part of a path, "." when there is none.
std::string folder_of(const std::string& path);

}  // namespace lanewise::onnx
