#include "agent/base/version.hpp"

namespace omnitide {

std::string_view version() { return OMNITIDE_VERSION; }
std::string_view commit() { return OMNITIDE_COMMIT; }

}  // namespace omnitide
