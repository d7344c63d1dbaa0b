// Random numbers as NumPy's RandomState gives them for a seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

namespace lanewise {

// The Mersenne Twister (Matsumoto & Nishimura 1998) with NumPy's ways to floats.
class RandomSource {
 public:
  explicit RandomSource(std::uint32_t seed) : engine_(seed) {}

  // [0, 1) with 53 bits.
  double uniform() {
    const double high = static_cast<double>(engine_() >> 5),
                 low = static_cast<double>(engine_() >> 6);
    return (high * 0x1p26 + low) / 0x1p53;
  }

  // Marsaglia's polar method gives two at a time; the second of them first.
  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double x, y, square;
    do {
      x = 2.0 * uniform() - 1.0;
      y = 2.0 * uniform() - 1.0;
      square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    const double scale = std::sqrt(-2.0 * std::log(square) / square);
    spare_ = scale * x;
    has_spare_ = true;
    return scale * y;
  }

  // Whether a trial of this probability succeeds, by inversion, of the rarer outcome.
  bool bernoulli(double probability) {
    const double rare = probability <= 0.5 ? probability : 1.0 - probability;
    const bool happens = uniform() > std::exp(std::log(1.0 - rare));
    return happens == (probability <= 0.5);
  }

 private:
  std::mt19937 engine_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace lanewise
