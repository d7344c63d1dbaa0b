// Optimisers of ai.onnx.preview.training: Momentum, Adagrad, Adam. Gradients are made by nodes that
// engine/onnx/gradient.cc adds when a file is read.
#include <cmath>
#include <string>

#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

constexpr std::string_view kDomain = "ai.onnx.preview.training";

// Inputs are the rate, the update count, then `lists` tensors for each one optimised: all X, all G,
// and so on. Outputs are the same lists but for G.
template <int lists>
int optimised(const OpContext& c) {
  return (c.num_inputs() - 2) / lists;
}

template <int lists>
void infer_optimiser(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_dtype(1, {DType::kInt64});
  for (int i = 0; i < 2; ++i) {
    if (c.shape(i).elements() != 1) {
      c.fail("input " + std::to_string(i) + " must be a scalar, found shape " + c.shape(i).str());
    }
  }
  const int count = optimised<lists>(c);
  if (count < 1 || c.num_inputs() != 2 + lists * count) {
    c.fail("expected " + std::to_string(lists) + " inputs for each optimised tensor behind the " +
           "first two, found " + std::to_string(c.num_inputs() - 2));
  }
  for (int i = 0; i < lists * count; ++i) {
    const int x = 2 + i % count, at = 2 + i;
    if (!c.has_input(at)) c.fail("input " + std::to_string(at) + " is missing");
    c.expect_dtype(at, {DType::kFloat32, DType::kFloat64});
    c.expect_same_dtype(x, at);
    if (c.shape(at) != c.shape(x)) {
      c.fail("input " + std::to_string(at) + " must have the shape " + c.shape(x).str() +
             " of the tensor it belongs to, found " + c.shape(at).str());
    }
  }
  for (int i = 0; i < (lists - 1) * count; ++i) {
    c.set_output(i, c.dtype(2 + i % count), c.shape(2 + i % count));
  }
}

struct Rates {
  double rate = 0, count = 0;
};

Rates read_rates(const RunContext& run, DType rate) {
  return {rate == DType::kFloat64 ? *run.in<double>(0) : static_cast<double>(*run.in<float>(0)),
          static_cast<double>(*run.in<std::int64_t>(1))};
}

// Calls update(rates, in, out, elements) for each optimised tensor: `in` holds X, G, ..., `out` the
// new ones; an output that is left out is null.
template <class T, int lists, class F>
void each_tensor(const RunContext& run, int count, int i, std::int64_t elements, F&& update) {
  const T* in[lists];
  T* out[lists - 1] = {};
  for (int k = 0; k < lists; ++k) in[k] = run.in<T>(2 + k * count + i);
  for (int k = 0; k + 1 < lists; ++k) {
    if (run.has_out(k * count + i)) out[k] = run.out<T>(k * count + i);
  }
  parallel_for(run.threads, elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t e = begin; e < end; ++e) {
      T state[lists];
      for (int k = 0; k < lists; ++k) state[k] = in[k][e];
      update(state);
      if (out[0] != nullptr) out[0][e] = state[0];
      for (int k = 1; k + 1 < lists; ++k) {
        if (out[k] != nullptr) out[k][e] = state[k + 1];
      }
    }
  });
}

// The step of an optimiser; `make(rates)` gives the update of one element, which takes its state X,
// G, ... and leaves the new one there. Coefficients are rounded to the tensors' type as they are
// used.
template <int lists, class Make>
Step optimiser_step(const LowerContext& c, Make make) {
  const int count = optimised<lists>(c);
  std::vector<std::int64_t> sizes;
  std::vector<DType> types;
  for (int i = 0; i < count; ++i) {
    sizes.push_back(c.shape(2 + i).elements());
    types.push_back(c.dtype(2 + i));
  }
  Step step;
  step.algorithm = "elements";
  step.run = [=, rate = c.dtype(0)](const RunContext& run) {
    const auto update = make(read_rates(run, rate));
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (types[at] == DType::kFloat64) {
        each_tensor<double, lists>(run, count, i, sizes[at], update);
      } else {
        each_tensor<float, lists>(run, count, i, sizes[at], update);
      }
    }
  };
  return step;
}

double coefficient(const OpContext& c, std::string_view name) {
  return static_cast<double>(c.attr_float(name));
}

// State: X, G, V.
void infer_momentum(InferContext& c) {
  const std::string_view mode = c.attr_string("mode");
  if (mode != "standard" && mode != "nesterov") {
    c.fail("attribute 'mode' is '" + std::string(mode) + "', expected standard or nesterov");
  }
  infer_optimiser<3>(c);
}

Step lower_momentum(LowerContext& c) {
  const double alpha = coefficient(c, "alpha"), beta = coefficient(c, "beta"),
               norm = coefficient(c, "norm_coefficient");
  const bool nesterov = c.attr_string("mode") == "nesterov";
  return optimiser_step<3>(c, [=](const Rates& rates) {
    const double scale = rates.count > 0 ? beta : 1.0;
    return [=, rate = rates.rate]<class T>(T* s) {
      const T gradient = static_cast<T>(norm) * s[0] + s[1];
      s[2] = static_cast<T>(alpha) * s[2] + static_cast<T>(scale) * gradient;
      s[0] -= static_cast<T>(rate) * (nesterov ? gradient + static_cast<T>(alpha) * s[2] : s[2]);
    };
  });
}

// State: X, G, H.
Step lower_adagrad(LowerContext& c) {
  const double decay = coefficient(c, "decay_factor"), epsilon = coefficient(c, "epsilon"),
               norm = coefficient(c, "norm_coefficient");
  return optimiser_step<3>(c, [=](const Rates& rates) {
    return [=, rate = rates.rate / (1.0 + rates.count * decay)]<class T>(T* s) {
      const T gradient = static_cast<T>(norm) * s[0] + s[1];
      s[2] += gradient * gradient;
      s[0] -= static_cast<T>(rate) * gradient / (std::sqrt(s[2]) + static_cast<T>(epsilon));
    };
  });
}

// State: X, G, V, H.
Step lower_adam(LowerContext& c) {
  const double alpha = coefficient(c, "alpha"), beta = coefficient(c, "beta"),
               epsilon = coefficient(c, "epsilon"), norm = coefficient(c, "norm_coefficient"),
               post = coefficient(c, "norm_coefficient_post");
  return optimiser_step<4>(c, [=](const Rates& rates) {
    const double correction =
        std::sqrt(1.0 - std::pow(beta, rates.count)) / (1.0 - std::pow(alpha, rates.count));
    const double rate = rates.count > 0 ? rates.rate * correction : rates.rate;
    return [=]<class T>(T* s) {
      const T gradient = static_cast<T>(norm) * s[0] + s[1];
      s[2] = static_cast<T>(alpha) * s[2] + static_cast<T>(1.0 - alpha) * gradient;
      s[3] = static_cast<T>(beta) * s[3] + static_cast<T>(1.0 - beta) * gradient * gradient;
      const T moved =
          s[0] - static_cast<T>(rate) * s[2] / (std::sqrt(s[3]) + static_cast<T>(epsilon));
      s[0] = static_cast<T>(1.0 - post) * moved;
    };
  });
}

constexpr AttrDef kNorm = {.name = "norm_coefficient",
                           .type = AttrType::kFloat,
                           .doc = "of the squared norm that is added to the loss, halved"};
constexpr AttrDef kEpsilon = {.name = "epsilon",
                              .type = AttrType::kFloat,
                              .doc = "added to the divisor",
                              .float_default = 1e-6f};
constexpr AttrDef kMomentumAttrs[] = {
    {.name = "alpha", .type = AttrType::kFloat, .doc = "decay of the momentum", .required = true},
    {.name = "beta",
     .type = AttrType::kFloat,
     .doc = "weight of the gradient, after the first update",
     .required = true},
    {.name = "mode", .type = AttrType::kString, .doc = "standard or nesterov", .required = true},
    {.name = "norm_coefficient",
     .type = AttrType::kFloat,
     .doc = "of the squared norm that is added to the loss, halved",
     .required = true}};
constexpr AttrDef kAdagradAttrs[] = {
    {.name = "decay_factor", .type = AttrType::kFloat, .doc = "of the rate, for each update"},
    kEpsilon,
    kNorm};
constexpr AttrDef kAdamAttrs[] = {{.name = "alpha",
                                   .type = AttrType::kFloat,
                                   .doc = "decay of the mean gradient",
                                   .float_default = 0.9f},
                                  {.name = "beta",
                                   .type = AttrType::kFloat,
                                   .doc = "decay of the mean squared gradient",
                                   .float_default = 0.999f},
                                  kEpsilon,
                                  kNorm,
                                  {.name = "norm_coefficient_post",
                                   .type = AttrType::kFloat,
                                   .doc = "shrinks the updated tensors"}};

constexpr OpDef optimiser(std::string_view name, std::string_view doc,
                          std::span<const AttrDef> attributes, int inputs,
                          void (*infer)(InferContext&), Step (*lower)(LowerContext&)) {
  return {.domain = kDomain,
          .name = name,
          .doc = doc,
          .min_inputs = inputs,
          .max_inputs = -1,
          .max_outputs = -1,
          .attributes = attributes,
          .infer = infer,
          .lower = lower};
}

constexpr OpDef kOps[] = {
    optimiser("Momentum", "Gradient descent with momentum, standard or Nesterov's.", kMomentumAttrs,
              5, infer_momentum, lower_momentum),
    optimiser("Adagrad", "Gradient descent with adaptive rates (Duchi et al. 2011).", kAdagradAttrs,
              5, infer_optimiser<3>, lower_adagrad),
    optimiser("Adam", "Gradient descent with adaptive moments (Kingma & Ba 2015).", kAdamAttrs, 6,
              infer_optimiser<4>, lower_adam),
};

}  // namespace

extern const OpTable training_ops;
const OpTable training_ops = {kOps};

}  // namespace lanewise
