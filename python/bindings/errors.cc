// Translation of exceptions.
#include "python/bindings/errors.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <new>

#include "engine/base/error.h"

namespace nb = nanobind;

namespace lanewise::bindings {
namespace {

template <class... Args>
void raise(const char* name, Args&&... args) {
  const nb::object type = nb::module_::import_("lanewise.errors").attr(name);
  const nb::object error = type(std::forward<Args>(args)...);
  PyErr_SetObject(type.ptr(), error.ptr());
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const InputError& e) {
    raise("InputError", e.what(), e.name, e.expected, e.got);
  } catch (const UnsupportedError& e) {
    raise("UnsupportedError", e.what(), e.ops);
  } catch (const ModelError& e) {
    raise("ModelError", e.what());
  } catch (const ResourceError& e) {
    raise("ResourceError", e.what());
  } catch (const DeviceError& e) {
    raise("DeviceError", e.what());
  } catch (const std::bad_alloc&) {
    raise("ResourceError", "out of memory; use smaller inputs or a smaller batch, or free memory");
  }
}

}  // namespace

void register_errors() { nb::register_exception_translator(translate); }

}  // namespace lanewise::bindings
