// Frames and lists taken apart however they are cut, and what is none refused.
#include "agent/kubernetes/wire.hpp"

#include "tests/harness/catch.hpp"
#include "tests/harness/kubernetes_wire.hpp"

namespace omnitide::kubernetes {
namespace {

using Events = std::vector<std::pair<Change, std::string>>;

// Fed in pieces of `size` bytes.
Result<Events> read_watch(std::string_view body, std::size_t size) {
  Events out;
  WatchReader reader;
  for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
    Result<> fed = reader.feed(body.substr(0, size), [&out](const WatchFrame& frame) {
      out.emplace_back(frame.change, std::string(frame.object));
      return true;
    });
    if (fed.has_error()) return fed.error();
  }
  return out;
}

struct ReadList {
  std::vector<std::string> items{};
  std::string version{}, continuation{};
  bool whole = false;
};

Result<ReadList> read_list(std::string_view body, std::size_t size) {
  ReadList out;
  ListReader reader;
  for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
    Result<> fed = reader.feed(body.substr(0, size), [&out](std::string_view item) { out.items.emplace_back(item); });
    if (fed.has_error()) return fed.error();
  }
  out.version = reader.resource_version();
  out.continuation = reader.continuation();
  out.whole = reader.whole();
  return out;
}

}  // namespace

TEST_CASE("a watch is the same however it is cut into pieces") {
  const std::string pod = test::enveloped(test::pod_message("default", "a", "5"));
  const std::string body = test::framed_event("ADDED", pod) + test::framed_event("DELETED", pod) +
                           test::framed_event("BOOKMARK", "") + test::framed_event("WHATEVER", pod);
  const Events expected{{Change::added, pod}, {Change::deleted, pod}, {Change::bookmark, ""}, {Change::unknown, pod}};
  for (std::size_t size = 1; size <= body.size(); ++size)
    CHECK(read_watch(body, size).value() == expected);
  const std::string lines =
      "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{}}}\n\n{\"type\":\"ERROR\",\"object\":{}}\n";
  const Events told{{Change::modified, "{\"metadata\":{}}"}, {Change::error, "{}"}};
  for (std::size_t size = 1; size <= lines.size(); ++size)
    CHECK(read_watch(lines, size).value() == told);
}

TEST_CASE("a watch that is none is refused, and one that is told to end ends") {
  CHECK(read_watch(std::string("\x7f\xff\xff\xff", 4), 4).has_error());  // a frame of 2 GiB
  CHECK(read_watch(std::string("\0\0\0\2\x0a\x7f", 6), 6).has_error());  // a text longer than its frame
  CHECK(read_watch("{\"type\":\"ADDED\"}\n", 100).has_error());          // no object
  CHECK(read_watch("{\n", 100).has_error());
  CHECK(read_watch("{" + std::string(kMostObjectBytes + 1, ' '), 1U << 20U).has_error());  // never a line's end
  WatchReader reader;
  int taken = 0;
  const std::string event = test::framed_event("ADDED", "x");
  REQUIRE(reader.feed(event + event, [&taken](const WatchFrame&) { return ++taken < 1; }));
  CHECK(taken == 1);
  CHECK(reader.ended());
}

TEST_CASE("a list is taken object by object however it is cut into pieces") {
  const std::vector<std::string> items{test::pod_message("default", "a", "1"), "",
                                       test::pod_message("default", std::string(300, 'b'), "2")};
  const std::string body = test::listed(items, "77", "more");
  for (std::size_t size = 1; size <= body.size(); ++size) {
    const Result<ReadList> read = read_list(body, size);
    REQUIRE(read);
    CHECK(read->whole);
    CHECK(read->items == items);
    CHECK(read->version == "77");
    CHECK(read->continuation == "more");
  }
  CHECK(read_list(test::listed({}, "5"), 7)->whole);
  // Cut off anywhere it is not whole: the envelope's last field, of two bytes, is after the list.
  for (std::size_t size = 0; size < body.size() - 2; ++size)
    CHECK_FALSE(read_list(body.substr(0, size), 11)->whole);
}

TEST_CASE("a list that is none is refused") {
  CHECK(read_list("{\"items\":[]}", 5).has_error());
  CHECK(read_list(std::string("k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 22), 1)
            .has_error());
  std::string lies("k8s\0\x12\x04\x12\x7fxx", 10);  // an item longer than its list
  CHECK(read_list(lies, 3).has_error());
}

TEST_CASE("an envelope gives its message, and nothing else is one") {
  const std::string message = test::pod_message("default", "a", "1");
  CHECK(unwrap(test::enveloped(message)) == message);
  CHECK(unwrap(std::string("k8s\0", 4)) == "");
  CHECK_FALSE(unwrap(message));
  CHECK_FALSE(unwrap(std::string("k8s\0\x12\x7f", 6)));
  CHECK_FALSE(unwrap("k8s"));
}

}  // namespace omnitide::kubernetes
