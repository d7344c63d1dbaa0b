// A limit on the time that one call of the library may take, asked for where a model decides how
// long something lasts: between steps, and between the iterations of a loop.
#pragma once

#include <string>

namespace lanewise {

// While it lives, check_time on this thread throws once `seconds` have passed; 0 sets no limit. An
// outer limit holds on.
class TimeLimit {
 public:
  explicit TimeLimit(double seconds);
  ~TimeLimit();
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

 private:
  double before_;
};

// Whether a limit of this thread has passed.
bool out_of_time();

// Throws ResourceError when a limit of this thread has passed; `where` begins the message.
void check_time(const std::string& where);

}  // namespace lanewise
