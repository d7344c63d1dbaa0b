// See deadline.h.
#include "engine/base/deadline.h"

#include <algorithm>
#include <limits>

#include "engine/base/clock.h"
#include "engine/base/error.h"

namespace lanewise {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
thread_local double deadline = kNever;

}  // namespace

TimeLimit::TimeLimit(double seconds) : before_(deadline) {
  if (seconds > 0) deadline = std::min(deadline, now_seconds() + seconds);
}

TimeLimit::~TimeLimit() { deadline = before_; }

bool out_of_time() { return deadline != kNever && now_seconds() > deadline; }

void check_time(const std::string& where) {
  if (!out_of_time()) return;
  throw ResourceError(where +
                      "the time limit has passed; raise 'time_limit', or look for a loop that does "
                      "not end");
}

}  // namespace lanewise
