// For operations whose error is looked at rather than thrown: `const auto [error, ...] = co_await f(..., kTuple);`
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace omnitide::daemon {

inline constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace omnitide::daemon
