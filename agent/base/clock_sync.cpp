#include "agent/base/clock_sync.hpp"

#include <sys/timex.h>

namespace omnitide {

bool clock_in_step() {
  timex asked{};  // without a mode
  const int state = ::adjtimex(&asked);
  return state >= 0 && state != TIME_ERROR;
}

}  // namespace omnitide
