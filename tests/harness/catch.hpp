// Catch2 v2 or v3, whichever the distribution has.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

// REQUIRE(result) says the error when it fails.
#if __has_include("agent/base/error.hpp")
#include <string>

#include "agent/base/error.hpp"

namespace Catch {
template <class T>
struct StringMaker<boost::system::result<T, omnitide::Error>> {
  static std::string convert(const boost::system::result<T, omnitide::Error>& result) {
    return result ? "a good result" : std::string(code_name(result.error().code)) + ": " + result.error().text();
  }
};
}  // namespace Catch
#endif
