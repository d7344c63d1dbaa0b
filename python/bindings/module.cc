// The module lanewise._core: conversion only. The GIL is released around load, compile and run.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "engine/base/error.h"
#include "engine/onnx/import.h"
#include "engine/runtime/session.h"
#include "python/bindings/arrays.h"
#include "python/bindings/bindings.h"
#include "python/bindings/errors.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lanewise::bindings {
namespace {

// The options of `lanewise.load`, as a dict.
Options options_from_python(const nb::dict& given) {
  const auto text = [&](const char* key) { return nb::cast<std::string>(given[key]); };
  Options options = make_options(text("isa"), nb::cast<int>(given["threads"]), text("numerics"));
  options.time_limit = nb::cast<double>(given["time_limit"]);
  options.fuse = nb::cast<bool>(given["fuse"]);
  options.force = text("force");
  for (const auto& [name, algorithm] : nb::cast<nb::dict>(given["choices"]))
    options.choices[nb::cast<std::string>(name)] = nb::cast<std::string>(algorithm);
  const std::string device = text("device"), precision = text("precision");
  const auto libraries = nb::cast<std::vector<std::string>>(given["libraries"]);
  const nb::gil_scoped_release release;
  set_device(options, device, precision, libraries);
  return options;
}

std::shared_ptr<Session> load_file(const std::string& path, const nb::dict& given) {
  const Options options = options_from_python(given);
  const nb::gil_scoped_release release;
  return std::make_shared<Session>(import_file(path, {}), options);
}

std::shared_ptr<Session> load_bytes(nb::bytes bytes, const std::string& folder,
                                    const nb::dict& given) {
  const Options options = options_from_python(given);
  const std::span<const std::byte> content(static_cast<const std::byte*>(bytes.data()),
                                           bytes.size());
  // Weights stay in the caller's bytes, which live as long as the graph does.
  PyObject* kept = bytes.release().ptr();
  std::shared_ptr<const void> owner(content.data(), [kept](const void*) {
    const nb::gil_scoped_acquire gil;
    Py_DECREF(kept);
  });
  const nb::gil_scoped_release release;
  ImportOptions import;
  import.base_folder = folder;
  return std::make_shared<Session>(import_model(content, std::move(owner), import), options);
}

nb::tuple info_to_python(const TensorInfo& info) {
  nb::object shape = nb::none();
  if (info.ranked && !is_container(info.dtype)) {
    nb::list dims;
    for (int i = 0; i < info.shape.rank(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (info.shape[i] >= 0) {
        dims.append(info.shape[i]);
      } else if (at < info.dim_names.size() && !info.dim_names[at].empty()) {
        dims.append(info.dim_names[at]);
      } else {
        dims.append(nb::none());
      }
    }
    shape = nb::tuple(dims);
  }
  nb::list holds;
  for (DType dtype : info.holds) holds.append(static_cast<int>(dtype));
  return nb::make_tuple(info.name, static_cast<int>(info.dtype), shape, info.optional, holds);
}

nb::list infos_to_python(const std::vector<TensorInfo>& infos) {
  nb::list result;
  for (const TensorInfo& info : infos) result.append(info_to_python(info));
  return result;
}

// (name, array, element type code) triples.
std::map<std::string, Tensor> inputs_from_python(const nb::list& inputs) {
  std::map<std::string, Tensor> result;
  for (nb::handle item : inputs) {
    const auto triple = nb::cast<nb::tuple>(item);
    result.insert_or_assign(nb::cast<std::string>(triple[0]),
                            tensor_from_python(triple[1], nb::cast<int>(triple[2])));
  }
  return result;
}

nb::list run(Session& session, const nb::list& inputs, const std::vector<std::string>& outputs) {
  const std::map<std::string, Tensor> given = inputs_from_python(inputs);
  std::vector<Tensor> results;
  {
    const nb::gil_scoped_release release;
    results = session.run(given, outputs);
  }
  nb::list list;
  for (Tensor& tensor : results) {
    list.append(nb::make_tuple(tensor_to_python(tensor), static_cast<int>(tensor.dtype())));
  }
  return list;
}

nb::list layers_to_python(const std::vector<LayerProfile>& layers) {
  nb::list list;
  for (const LayerProfile& layer : layers) {
    nb::dict entry;
    entry["name"] = layer.name;
    entry["op"] = layer.op;
    entry["algorithm"] = layer.algorithm;
    entry["output"] = layer.output;
    entry["shape"] = layer.shape;
    entry["seconds"] = layer.seconds;
    entry["flops"] = layer.flops;
    entry["bytes"] = layer.bytes;
    nb::list refused;
    for (const Refusal& refusal : layer.refused) {
      refused.append(nb::make_tuple(refusal.algorithm, refusal.reason));
    }
    entry["refused"] = refused;
    entry["device"] = layer.device;
    list.append(entry);
  }
  return list;
}

Shape shape_from_python(const std::string& name, const std::vector<std::int64_t>& dims) {
  Shape shape;
  for (std::int64_t dim : dims) {
    if (dim < 0) {
      throw InputError(
          "input '" + name + "': a shape has no negative sizes, got " + std::to_string(dim), name,
          "sizes from 0", std::to_string(dim));
    }
    shape.push_back(dim);
  }
  return shape;
}

nb::dict profile(Session& session, const nb::list& inputs, int runs) {
  const std::map<std::string, Tensor> given = inputs_from_python(inputs);
  Profile profile;
  {
    const nb::gil_scoped_release release;
    profile = session.profile(given, runs);
  }
  nb::dict result;
  result["layers"] = layers_to_python(profile.layers);
  result["total_seconds"] = profile.total_seconds;
  result["weight_bytes"] = profile.weight_bytes;
  return result;
}

nb::dict describe(Session& session,
                  const std::map<std::string, std::vector<std::int64_t>>& shapes) {
  Description description;
  {
    const nb::gil_scoped_release release;
    std::map<std::string, Shape> given;
    for (const auto& [name, dims] : shapes) given.emplace(name, shape_from_python(name, dims));
    description = session.describe(given);
  }
  nb::dict result;
  result["layers"] = layers_to_python(description.layers);
  result["complete"] = description.complete;
  result["arena_bytes"] = description.arena_bytes;
  result["device_bytes"] = description.device_bytes;
  result["weight_bytes"] = description.weight_bytes;
  return result;
}

std::vector<std::string> check(const std::string& path) {
  const nb::gil_scoped_release release;
  return check_file(path);
}

nb::list nodes(const Session& session) {
  nb::list list;
  for (const Node& node : session.graph().nodes) {
    list.append(nb::make_tuple(node.name, op_name(*node.op)));
  }
  return list;
}

// Floating-point elements of a graph's constants and of those in the bodies of its nodes.
std::size_t count_parameters(const Graph& graph) {
  std::size_t count = 0;
  for (const Value& value : graph.values) {
    if (value.constant && is_floating(value.dtype))
      count += static_cast<std::size_t>(value.constant->elements());
  }
  for (const Node& node : graph.nodes) {
    for (const auto& [key, attribute] : node.attributes) {
      if (const auto* body = std::get_if<Subgraph>(&attribute))
        count += count_parameters(*body->graph);
    }
  }
  return count;
}

std::size_t parameters(const Session& session) { return count_parameters(session.graph()); }

}  // namespace
}  // namespace lanewise::bindings

NB_MODULE(_core, m) {
  using namespace lanewise;
  using namespace lanewise::bindings;
  m.attr("__version__") = LANEWISE_VERSION;
  register_errors();
  m.def("load_file", &load_file, "path"_a, "options"_a);
  m.def("load_bytes", &load_bytes, "content"_a, "folder"_a, "options"_a);
  m.def("check_file", &check, "path"_a);
  nb::class_<Session>(m, "Session")
      .def("inputs", [](const Session& s) { return infos_to_python(s.inputs()); })
      .def("outputs", [](const Session& s) { return infos_to_python(s.outputs()); })
      .def("tensor_names", &Session::tensor_names)
      .def("metadata", [](const Session& s) { return s.graph().metadata; })
      .def("nodes", &nodes)
      .def("parameters", &parameters)
      .def("isa", [](const Session& s) { return std::string(isa_name(s.options().isa)); })
      .def("threads", [](const Session& s) { return s.options().threads; })
      .def("device",
           [](const Session& s) {
             return s.options().backend ? s.options().backend->name() : "cpu";
           })
      .def("run", &run, "inputs"_a, "outputs"_a)
      .def("profile", &profile, "inputs"_a, "runs"_a)
      .def("describe", &describe, "shapes"_a);
  bind_machine(m);
  bind_custom_ops(m);
}
