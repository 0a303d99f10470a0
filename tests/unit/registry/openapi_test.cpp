#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <set>
#include <string>

#include "agent/registry/routes.hpp"
#include "agent/registry/schema.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::registry;
using omnitide::test::must;

namespace {

// "GET /v1/nodes" for every operation of the document: paths stand at two blanks, methods at four.
std::set<std::string> documented() {
  const std::string text = must(read_file(std::string(OMNITIDE_FIXTURES) + "/../../docs/openapi.yaml"));
  std::set<std::string> out;
  std::string path;
  bool in_paths = false;
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty() && line.front() != ' ' && line.front() != '#') in_paths = line.starts_with("paths:");
    if (!in_paths || line.size() < 5) continue;
    if (line.starts_with("  /")) path = std::string(line.substr(2, line.rfind(':') - 2));
    if (!line.starts_with("    ") || line[4] == ' ' || line.back() != ':') continue;
    std::string method(line.substr(4, line.size() - 5));
    if (method == "parameters") continue;
    std::transform(method.begin(), method.end(), method.begin(),
                   [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    out.insert(method + " " + path);
  }
  return out;
}

std::set<std::string> served() {
  const test::Folder folder;
  boost::asio::io_context loop;
  const std::string path = folder.path + "/registry.db";
  Options options;
  options.dir = folder.path;
  Database write = must(open_store(path)), read = must(open_reader(path));
  Context context(loop, options, std::move(write), std::move(read));
  std::set<std::string> out;
  for (const io::Route& route : main_routes(context, [] { return ServerView(); })) {
    out.insert(route.method + " " + route.pattern);
  }
  return out;
}

}  // namespace

TEST_CASE("docs/openapi.yaml describes every route of the server, and no other") {
  const std::set<std::string> in_document = documented(), in_server = served();
  REQUIRE(in_server.size() > 20);
  for (const std::string& route : in_server) {
    INFO(route);
    CHECK(in_document.contains(route));
  }
  for (const std::string& route : in_document) {
    INFO(route);
    CHECK(in_server.contains(route));
  }
}
