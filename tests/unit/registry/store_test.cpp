#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <fstream>
#include <vector>

#include "agent/registry/repository.hpp"
#include "agent/registry/schema.hpp"
#include "agent/registry/writer.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::registry;
using omnitide::test::must;
using omnitide::test::pump;
namespace asio = boost::asio;

namespace {

NodeRecord node_named(const std::string& id) {
  NodeRecord node;
  node.node_id = id;
  node.hostname = "host of " + id;
  node.state = State::approved;
  node.registry_labels = "a=b\n";
  node.facts_sha256 = std::string("\0\xff", 2);
  node.generation = 1ULL << 62U;
  return node;
}

Writer::Work save(const std::string& id) {
  return [id](Database& database) {
    NodeRecord node = node_named(id);
    return save_node(database, node);
  };
}

// Starts a write without waiting for it.
void begin(asio::io_context& loop, Writer& writer, Writer::Work work, std::vector<Result<>>& results) {
  asio::co_spawn(
      loop,
      [](Writer& to, Writer::Work job, std::vector<Result<>>& out) -> asio::awaitable<void> {
        Result<> result = co_await to.run(std::move(job));
        out.push_back(std::move(result));
      }(writer, std::move(work), results),
      asio::detached);
}

std::string file_in(const test::Folder& folder) { return folder.path + "/registry.db"; }

void overwrite(const std::string& path, std::streamoff at, std::size_t bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file << std::string(bytes, '\x5a');
}

}  // namespace

TEST_CASE("a node comes back from the store as it was saved") {
  const test::Folder folder;
  NodeRecord node = node_named("n-1");
  {
    Database database = must(open_store(file_in(folder)));
    must(save_node(database, node));
    must(save_facts(database, "n-1", std::string("\0facts", 6)));
    must(save_node(database, node));  // again: the facts stay
  }
  Database database = must(open_store(file_in(folder)));
  const auto back = must(find_node(database, "n-1"));
  REQUIRE(back.has_value());
  CHECK(back->hostname == node.hostname);
  CHECK(back->facts_sha256 == node.facts_sha256);
  CHECK(back->generation == node.generation);
  CHECK(back->resource_version == 2);
  CHECK(must(load_details(database, "n-1")).facts == std::string("\0facts", 6));
  must(delete_node(database, "n-1"));
  CHECK(must(load_details(database, "n-1")).facts.empty());
}

TEST_CASE("what waits is committed together, each caller goes on after the commit") {
  const test::Folder folder;
  asio::io_context loop;
  std::vector<Result<>> results;
  Writer writer(loop, must(open_store(file_in(folder))), 1000);
  for (int i = 0; i < 200; ++i)
    begin(loop, writer, save("n-" + std::to_string(i)), results);
  loop.run();
  REQUIRE(results.size() == 200);
  for (const Result<>& result : results)
    CHECK(result.has_value());
  CHECK(writer.counters().closures == 200);
  CHECK(writer.counters().commits < 200);
  Database reader = must(open_reader(file_in(folder)));
  CHECK(must(load_nodes(reader)).size() == 200);
}

TEST_CASE("a closure that fails is rolled back alone") {
  const test::Folder folder;
  asio::io_context loop;
  std::vector<Result<>> results;
  Writer writer(loop, must(open_store(file_in(folder))), 1000);
  begin(loop, writer, save("n-1"), results);
  begin(
      loop, writer,
      [](Database& database) -> Result<> {
        NodeRecord node = node_named("n-2");
        must(save_node(database, node));
        return fail(Code::aborted, "no");
      },
      results);
  begin(
      loop, writer, [](Database&) -> Result<> { throw std::runtime_error("thrown"); }, results);
  begin(loop, writer, save("n-3"), results);
  loop.run();
  REQUIRE(results.size() == 4);
  CHECK(results[1].error().code == Code::aborted);
  CHECK(results[2].error().message == "thrown");
  Database reader = must(open_reader(file_in(folder)));
  const auto nodes = must(load_nodes(reader));
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[1].node_id == "n-3");
}

TEST_CASE("a full queue refuses at once") {
  const test::Folder folder;
  asio::io_context loop;
  std::vector<Result<>> results;
  Writer writer(loop, must(open_store(file_in(folder))), 4);
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  const Writer::Work wait = [open](Database&) -> Result<> {
    open.wait();
    return {};
  };
  for (int i = 0; i < 4; ++i)
    begin(loop, writer, wait, results);
  begin(loop, writer, save("n-late"), results);
  loop.poll();
  REQUIRE(results.size() == 1);
  CHECK(results[0].error().code == Code::resource_exhausted);
  gate.set_value();
  loop.restart();
  loop.run();
  CHECK(results.size() == 5);
}

TEST_CASE("without space a change is refused clearly, nothing is lost and reading goes on") {
  const test::Folder folder;
  asio::io_context loop;
  Writer writer(loop, must(open_store(file_in(folder))), 100);
  must(pump(loop, writer.run(save("n-kept"))));
  must(pump(loop, writer.run_alone([](Database& database) { return database.execute("PRAGMA max_page_count = 1"); })));
  const Writer::Work large = [](Database& database) {
    return save_facts(database, "n-kept", std::string(1U << 20U, 'x'));
  };
  const Result<> full = pump(loop, writer.run(large));
  REQUIRE(full.has_error());
  CHECK(full.error().code == Code::unavailable);
  CHECK(full.error().message.find("registry.db") != std::string::npos);
  Database reader = must(open_reader(file_in(folder)));
  CHECK(must(load_nodes(reader)).size() == 1);
  must(pump(loop,
            writer.run_alone([](Database& database) { return database.execute("PRAGMA max_page_count = 100000"); })));
  CHECK(pump(loop, writer.run(large)).has_value());
}

TEST_CASE("a damaged database is refused with its name and the way out") {
  const test::Folder folder;
  const std::string path = file_in(folder);
  {
    Database database = must(open_store(path));
    for (int i = 0; i < 400; ++i) {
      NodeRecord node = node_named("n-" + std::to_string(i));
      must(save_node(database, node));
    }
    must(database.execute("PRAGMA journal_mode = DELETE"));
  }
  SECTION("the header") { overwrite(path, 0, 100); }
  SECTION("pages in the middle") { overwrite(path, 5 * 4096, 4 * 4096); }
  SECTION("the end is missing") { std::filesystem::resize_file(path, 8 * 4096); }
  SECTION("something else") {
    std::ofstream(path) << "this is not a database, but it is long enough to be read as one .......";
  }
  const auto opened = open_store(path);
  REQUIRE(opened.has_error());
  CHECK(opened.error().code == Code::data_loss);
  CHECK(opened.error().message.find(path) != std::string::npos);
  CHECK(opened.error().hint.find("restore") != std::string::npos);
}

TEST_CASE("another program's database and a newer form are refused, not changed") {
  const test::Folder folder;
  {
    Database other = must(Database::open(folder.path + "/other.db", Database::Mode::create));
    must(other.execute("CREATE TABLE t(a)"));
  }
  CHECK(open_store(folder.path + "/other.db").error().code == Code::failed_precondition);
  {
    Database newer = must(open_store(file_in(folder)));
    must(newer.execute("PRAGMA user_version = 99"));
  }
  const auto opened = open_store(file_in(folder));
  REQUIRE(opened.has_error());
  CHECK(opened.error().message.find("99") != std::string::npos);
}

TEST_CASE("of superseded incarnations the newest sixteen are kept") {
  const test::Folder folder;
  Database database = must(open_store(file_in(folder)));
  NodeRecord node = node_named("n-1");
  must(save_node(database, node));
  for (int i = 0; i < 20; ++i)
    must(add_superseded(database, "n-1", {"b" + std::to_string(i), "s"}));
  const auto past = must(superseded(database, "n-1"));
  REQUIRE(past.size() == kSupersededKept);
  CHECK(past.front().boot_id == "b4");
  CHECK(past.back().boot_id == "b19");
}
