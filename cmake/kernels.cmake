# Compiles each engine/kernels/<family>/<name>.cc once per ISA that its first line names
# (`// isas: baseline avx2 avx512`), each time into namespace lanewise::<isa>, and generates the
# index from which kernels::<name>(Isa) picks a row.

# Generated files are rewritten only when their content changes, so that a configure run rebuilds
# nothing.
function(lanewise_generate output kind)
  execute_process(
    COMMAND ${Python_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/make_index.py ${kind} ${output} ${ARGN}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} COMMAND_ERROR_IS_FATAL ANY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/cmake/make_index.py)
endfunction()

file(GLOB kernel_sources CONFIGURE_DEPENDS engine/kernels/*/*.cc)

set(isa_flags_baseline "")
set(isa_flags_avx2 -mavx2 -mfma -mf16c -mbmi2 -mtune=haswell)
set(isa_flags_avx512 -mavx2 -mfma -mf16c -mbmi2 -mavx512f -mavx512bw -mavx512dq -mavx512vl
    -mavx512cd -mprefer-vector-width=512 -mtune=icelake-server)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC's own header leaves the lanes that a mask excludes open, and warns of it (bug 105593).
  list(APPEND isa_flags_avx512 -Wno-maybe-uninitialized)
endif()
set(isa_flags_avx512_vnni ${isa_flags_avx512} -mavx512vnni)
set(isa_flags_amx ${isa_flags_avx512_vnni} -mamx-tile -mamx-bf16)

set(isas baseline)
set(isa_definitions "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND isas avx2 avx512 avx512_vnni amx)
  set(isa_definitions LANEWISE_HAS_AVX2 LANEWISE_HAS_AVX512 LANEWISE_HAS_AVX512_VNNI
      LANEWISE_HAS_AMX)
endif()

# A sanitizer build looks for faults, not speed.
set(kernel_optimisation $<$<CONFIG:Release>:-O3>)

set(kernel_objects "")
foreach(isa ${isas})
  set(sources "")
  foreach(source ${kernel_sources})
    file(STRINGS ${source} first_line LIMIT_COUNT 1)
    if(first_line MATCHES "^// isas:.* ${isa}( |$)")
      list(APPEND sources ${source})
    endif()
  endforeach()
  if(sources)
    add_library(lanewise_kernels_${isa} OBJECT ${sources})
    target_link_libraries(lanewise_kernels_${isa} PRIVATE lanewise_flags)
    string(TOUPPER ${isa} upper)
    target_compile_definitions(lanewise_kernels_${isa} PRIVATE LANEWISE_ISA=${isa} LANEWISE_ISA_${upper})
    if(isa MATCHES "avx512_vnni|amx")  # what they add to
      target_compile_definitions(lanewise_kernels_${isa} PRIVATE LANEWISE_ISA_AVX512)
    endif()
    target_compile_options(lanewise_kernels_${isa} PRIVATE ${kernel_optimisation} ${isa_flags_${isa}} -fno-exceptions -fno-rtti
      -fno-math-errno -fno-trapping-math)
    list(APPEND kernel_objects $<TARGET_OBJECTS:lanewise_kernels_${isa}>)
  endif()
endforeach()

set(kernel_index ${CMAKE_BINARY_DIR}/generated/kernel_index.cc)
lanewise_generate(${kernel_index} kernels ${kernel_sources})
