// The engine's exceptions as the classes of lanewise.errors.
#pragma once

namespace lanewise::bindings {

void register_errors();

}  // namespace lanewise::bindings
