// Coroutines whose end by an exception (no memory) is told instead of vanishing. Inside of the room.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <string>
#include <utility>

namespace omnitide::daemon {

// `thrown` is called on the loop with what the exception says; whoever it captures outlives the coroutine.
inline void spawn_on(boost::asio::io_context& context, boost::asio::awaitable<void> work,
                     std::function<void(std::string)> thrown) {
  boost::asio::co_spawn(context, std::move(work), [thrown = std::move(thrown)](const std::exception_ptr& problem) {
    if (!problem) return;
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& caught) {
      thrown(caught.what());
    }
  });
}

}  // namespace omnitide::daemon
