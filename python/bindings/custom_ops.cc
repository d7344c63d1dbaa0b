// Operators whose shape rule and computation are Python functions. lanewise/custom.py checks what
// the functions return; here values cross the border, and the GIL is taken around each call.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/op.h"
#include "python/bindings/arrays.h"
#include "python/bindings/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lanewise::bindings {
namespace {

// Kept for the life of the process: models that were loaded keep using it.
struct PythonOp {
  std::string domain, name;
  nb::object infer, run;
  OpDef def;
};

// Guarded by the GIL.
std::vector<PythonOp*>& registered() {
  static std::vector<PythonOp*> ops;
  return ops;
}

// Before the interpreter ends: a function may hold objects that must be gone by then.
void forget_functions() {
  for (PythonOp* op : registered()) op->infer = op->run = nb::none();
}

const PythonOp& op_of(const OpContext& c) {
  return *static_cast<const PythonOp*>(c.node().op->custom);
}

// An object that may be dropped by a thread without the GIL.
using Kept = std::shared_ptr<nb::object>;
Kept keep(nb::object object) {
  return {new nb::object(std::move(object)), [](nb::object* kept) {
            const nb::gil_scoped_acquire gil;
            delete kept;
          }};
}

nb::object to_python(const OpContext& c, const Attribute& attribute) {
  return std::visit(
      [&](const auto& value) -> nb::object {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Tensor>) {
          return nb::make_tuple(tensor_to_python(value.copy()), static_cast<int>(value.dtype()));
        } else if constexpr (std::is_same_v<T, std::vector<Tensor>>) {
          nb::list list;
          for (const Tensor& t : value) {
            list.append(nb::make_tuple(tensor_to_python(t.copy()), static_cast<int>(t.dtype())));
          }
          return list;
        } else if constexpr (std::is_same_v<T, Subgraph> || std::is_same_v<T, ValueType>) {
          c.unsupported("attributes that are graphs or types cannot be given to Python");
        } else {
          return nb::cast(value);
        }
      },
      attribute);
}

nb::dict attributes_of(const OpContext& c) {
  nb::dict dict;
  for (const auto& [name, attribute] : c.node().attributes) {
    dict[nb::str(name.data(), name.size())] = to_python(c, attribute);
  }
  return dict;
}

// (code, shape) of each input, None where it is left out.
nb::list forms_of(const OpContext& c) {
  nb::list forms;
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (!c.has_input(i)) {
      forms.append(nb::none());
      continue;
    }
    forms.append(nb::make_tuple(static_cast<int>(c.dtype(i)), nb::cast(c.shape(i).dims())));
  }
  return forms;
}

void infer_python(InferContext& c) {
  const nb::gil_scoped_acquire gil;
  const nb::object result =
      op_of(c).infer(c.where(), forms_of(c), attributes_of(c), c.num_outputs());
  int output = 0;
  for (nb::handle form : nb::cast<nb::list>(result)) {
    const auto pair = nb::cast<nb::tuple>(form);
    c.set_output(output++, static_cast<DType>(nb::cast<int>(pair[0])),
                 Shape(nb::cast<std::vector<std::int64_t>>(pair[1])));
  }
}

struct Form {
  DType dtype = DType::kUndefined;
  Shape shape;
};

// What a step needs beside its pointers.
struct Call {
  const PythonOp& op;
  std::string where;
  std::vector<Form> inputs, outputs;
  bool emits = false;  // an output's shape depends on data
  Kept attributes;
};

// The inputs, copied: a function may keep them longer than the engine's memory lasts.
nb::list arrays_of(const Call& call, const RunContext& run) {
  nb::list arrays;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Form& form = call.inputs[i];
    if (form.dtype == DType::kUndefined) {
      arrays.append(nb::none());
      continue;
    }
    const Tensor copy = Tensor::wrap(form.dtype, form.shape, run.inputs[i], nullptr).copy();
    arrays.append(nb::make_tuple(tensor_to_python(copy), static_cast<int>(form.dtype)));
  }
  return arrays;
}

// Copies as well: the function may return an array that it keeps or was given.
void put(const Call& call, const RunContext& run, std::size_t output, const Tensor& made) {
  if (call.emits) return run.emitter->emit(static_cast<int>(output), made.copy());
  if (run.outputs[output] == nullptr) return;
  if (made.dtype() == DType::kString) {
    std::copy_n(made.as<std::string>(), made.elements(),
                static_cast<std::string*>(run.outputs[output]));
  } else if (made.bytes() > 0) {
    std::memcpy(run.outputs[output], made.data(), made.bytes());
  }
}

void run_python(const Call& call, const RunContext& run) {
  const nb::gil_scoped_acquire gil;
  nb::list forms;
  for (const Form& form : call.outputs) {
    forms.append(nb::make_tuple(static_cast<int>(form.dtype), nb::cast(form.shape.dims())));
  }
  const nb::object result = call.op.run(call.where, arrays_of(call, run), *call.attributes, forms);
  std::size_t output = 0;
  for (nb::handle item : nb::cast<nb::list>(result)) {
    const auto pair = nb::cast<nb::tuple>(item);
    put(call, run, output++, tensor_from_python(pair[0], nb::cast<int>(pair[1])));
  }
}

Step lower_python(LowerContext& c) {
  const nb::gil_scoped_acquire gil;
  Call call{op_of(c), c.where(), {}, {}, false, keep(attributes_of(c))};
  for (int i = 0; i < c.num_inputs(); ++i) {
    call.inputs.push_back(c.has_input(i) ? Form{c.dtype(i), c.shape(i)} : Form{});
  }
  for (int i = 0; i < c.num_outputs(); ++i) {
    call.outputs.push_back({c.output(i).dtype, c.out_shape(i)});
    call.emits = call.emits || (c.has_output(i) && !c.out_shape(i).known());
  }
  Step step;
  step.algorithm = "python";
  step.run = [call = std::move(call)](const RunContext& run) { run_python(call, run); };
  return step;
}

// False when the build has an operator of that name.
bool register_python(const std::string& domain, const std::string& name, nb::object infer,
                     nb::object run) {
  auto op = std::make_unique<PythonOp>();
  op->domain = domain;
  op->name = name;
  op->infer = std::move(infer);
  op->run = std::move(run);
  OpDef& def = op->def;
  def.domain = op->domain;
  def.name = op->name;
  def.doc = "An operator in Python.";
  def.min_inputs = 0;
  def.max_inputs = -1;
  def.max_outputs = -1;
  def.infer = infer_python;
  def.lower = lower_python;
  def.impure = true;  // nothing says that its results depend on the inputs alone
  def.any_float = true;
  def.any_attributes = true;
  def.custom = op.get();
  if (!add_op(def)) return false;
  registered().push_back(op.release());
  return true;
}

}  // namespace

void bind_custom_ops(nb::module_& m) {
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(forget_functions));
  m.def("register_op", &register_python, "domain"_a, "name"_a, "infer"_a, "run"_a);
}

}  // namespace lanewise::bindings
