// Einsum: the equation, checked against the operands' shapes. The summation is in engine/cpu.
#include "engine/cpu/einsum.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {
namespace {

// Labels: letters by their code; dimensions of the ellipsis from kEllipsis, the last one highest.
constexpr int kEllipsis = 256;

// One comma-separated term: labels, and where its ellipsis stands (-1: nowhere).
struct Term {
  std::vector<int> labels;
  int ellipsis = -1;
};

Term parse_term(const OpContext& c, std::string_view text) {
  Term term;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.substr(i, 3) == "..." && term.ellipsis < 0) {
      term.ellipsis = static_cast<int>(term.labels.size());
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(text[i])) != 0) {
      term.labels.push_back(text[i]);
    } else {
      c.fail("equation '" + std::string(c.attr_string("equation")) + "' has an unexpected '" +
             std::string(1, text[i]) +
             "'; expected letters, at most one ellipsis per term, commas and one '->'");
    }
  }
  return term;
}

// Puts `count` ellipsis labels, those of the last dimensions, in the ellipsis' place.
void expand(Term& term, int count, int most) {
  if (term.ellipsis < 0) return;
  std::vector<int> labels;
  for (int i = 0; i < count; ++i) labels.push_back(kEllipsis + most - count + i);
  term.labels.insert(term.labels.begin() + term.ellipsis, labels.begin(), labels.end());
}

struct Equation {
  std::vector<Term> inputs;
  std::vector<int> output;
};

std::vector<int> implicit_output(const std::vector<Term>& inputs, int most) {
  std::vector<int> output;
  for (int i = 0; i < most; ++i) output.push_back(kEllipsis + i);
  for (int label = 'A'; label <= 'z'; ++label) {
    std::int64_t count = 0;
    for (const Term& term : inputs) {
      count += std::count(term.labels.begin(), term.labels.end(), label);
    }
    if (count == 1) output.push_back(label);
  }
  return output;
}

Equation parse_equation(const OpContext& c) {
  const std::string_view text = c.attr_string("equation");
  const std::size_t arrow = text.find("->");
  std::string_view left = text.substr(0, arrow);
  Equation equation;
  while (true) {
    const std::size_t comma = left.find(',');
    equation.inputs.push_back(parse_term(c, left.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  if (static_cast<int>(equation.inputs.size()) != c.num_inputs()) {
    c.fail("equation '" + std::string(text) + "' has " + std::to_string(equation.inputs.size()) +
           " terms, but the node has " + std::to_string(c.num_inputs()) + " inputs");
  }
  int most = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const Term& term = equation.inputs[static_cast<std::size_t>(i)];
    const int free = c.shape(i).rank() - static_cast<int>(term.labels.size());
    if (free < 0 || (free > 0 && term.ellipsis < 0)) {
      c.fail("term " + std::to_string(i) + " of equation '" + std::string(text) +
             "' does not fit input " + std::to_string(i) + " of shape " + c.shape(i).str());
    }
    if (term.ellipsis >= 0) most = std::max(most, free);
  }
  for (int i = 0; i < c.num_inputs(); ++i) {
    Term& term = equation.inputs[static_cast<std::size_t>(i)];
    expand(term, c.shape(i).rank() - static_cast<int>(term.labels.size()), most);
  }
  if (arrow == std::string_view::npos) {
    equation.output = implicit_output(equation.inputs, most);
  } else {
    Term output = parse_term(c, text.substr(arrow + 2));
    expand(output, most, most);
    equation.output = std::move(output.labels);
  }
  return equation;
}

std::string label_name(int label) {
  return label >= kEllipsis ? "of the ellipsis"
                            : "'" + std::string(1, static_cast<char>(label)) + "'";
}

// The size of a label over all inputs; -1 when none has it. Sizes of one are broadcast.
std::int64_t label_size(const OpContext& c, const Equation& equation, int label) {
  std::int64_t size = -1;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const std::vector<int>& labels = equation.inputs[static_cast<std::size_t>(i)].labels;
    for (std::size_t k = 0; k < labels.size(); ++k) {
      if (labels[k] != label) continue;
      const std::int64_t own = c.shape(i)[static_cast<int>(k)];
      if (size >= 0 && size != 1 && own != 1 && own != size) {
        c.fail("index " + label_name(label) + " has sizes " + std::to_string(size) + " and " +
               std::to_string(own));
      }
      size = size < 0 || size == 1 ? own : size;
    }
  }
  return size;
}

void infer_einsum(InferContext& c) {
  if (!visit_scalar(c.dtype(0), [](auto) {}) || c.dtype(0) == DType::kBool) {
    c.fail("inputs must be of a number type, found " + std::string(dtype_name(c.dtype(0))));
  }
  for (int i = 1; i < c.num_inputs(); ++i) c.expect_same_dtype(0, i);
  const Equation equation = parse_equation(c);
  for (const Term& term : equation.inputs) {
    for (int label : term.labels) static_cast<void>(label_size(c, equation, label));
  }
  Shape out;
  for (std::size_t i = 0; i < equation.output.size(); ++i) {
    const int label = equation.output[i];
    const std::int64_t size = label_size(c, equation, label);
    if (size < 0 || std::count(equation.output.begin(), equation.output.end(), label) != 1) {
      c.fail("index " + label_name(label) +
             " of the output must stand there once, and in an input");
    }
    out.push_back(size);
  }
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

// An input's dimensions; a label that it repeats is its diagonal.
EinsumOperand operand_of(const Shape& shape, const std::vector<int>& labels) {
  const std::vector<std::int64_t> strides = shape.strides();
  EinsumOperand operand;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t size = shape[static_cast<int>(i)];
    const auto same = std::find_if(operand.begin(), operand.end(),
                                   [&](const EinsumDim& d) { return d.label == labels[i]; });
    const std::int64_t stride = size == 1 ? 0 : strides[i];
    if (same == operand.end()) {
      operand.push_back({labels[i], size, stride});
    } else {
      same->size = std::max(same->size, size);
      same->stride += stride;
    }
  }
  return operand;
}

Step lower_einsum(LowerContext& c) {
  const Equation equation = parse_equation(c);
  std::vector<EinsumOperand> operands;
  bool empty = false;
  for (int i = 0; i < c.num_inputs(); ++i) {
    empty = empty || c.shape(i).elements() == 0;
    operands.push_back(operand_of(c.shape(i), equation.inputs[static_cast<std::size_t>(i)].labels));
  }
  if (empty) {
    Step step;
    step.algorithm = "empty";
    step.run = [bytes = static_cast<std::size_t>(c.out_shape(0).elements()) *
                        dtype_size(c.dtype(0))](const RunContext& run) {
      std::fill_n(run.out<std::byte>(0), bytes, std::byte{0});
    };
    return step;
  }
  EinsumOperand output;
  for (std::size_t i = 0; i < equation.output.size(); ++i) {
    output.push_back({equation.output[i], c.out_shape(0)[static_cast<int>(i)], 0});
  }
  return lower_einsum_operands(std::move(operands), output, c);
}

double einsum_flops(const OpContext& c, std::span<const ValueInfo>) {
  const Equation equation = parse_equation(c);
  std::vector<int> seen;
  double product = c.num_inputs() > 1 ? 2.0 : 1.0;
  for (const Term& term : equation.inputs) {
    for (int label : term.labels) {
      if (std::find(seen.begin(), seen.end(), label) != seen.end()) continue;
      seen.push_back(label);
      product *= static_cast<double>(label_size(c, equation, label));
    }
  }
  return product;
}

constexpr AttrDef kAttrs[] = {{.name = "equation",
                               .type = AttrType::kString,
                               .doc = "terms of letters, as numpy.einsum",
                               .required = true}};

constexpr OpDef kOps[] = {
    {.name = "Einsum",
     .doc = "Products summed over the indices that the output lacks.",
     .min_inputs = 1,
     .max_inputs = -1,
     .attributes = kAttrs,
     .infer = infer_einsum,
     .lower = lower_einsum,
     .flops = einsum_flops},
};

}  // namespace

extern const OpTable einsum_ops;
const OpTable einsum_ops = {kOps};

}  // namespace lanewise
