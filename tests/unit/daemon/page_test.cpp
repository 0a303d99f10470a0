#include "agent/daemon/page.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::daemon;

namespace {

PageView view() {
  PageView out{
      .node = "press-7",
      .version = "1.2.3",
      .not_ready_because = {},
      .up = std::chrono::hours(50),
      .parts = {{"discovery", model::PartState::on, "", {}}, {"policy", model::PartState::failed, "no BTF", {}}},
      .facts = {},
      .collectors = {"cpu", "meminfo"},
      .policy = false,
      .flows = {}};
  out.facts.system.kernel_release = "6.1.0-test";
  out.facts.memory.total_bytes = 8ULL << 30U;
  model::BlockDevice& disk = out.facts.storage.devices.emplace_back();
  disk.name = "sda";
  disk.kind = "disk";
  disk.size_bytes = 1ULL << 40U;
  return out;
}

bool has(const std::string& text, std::string_view what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("the page has its facts without script") {
  const std::string html = page_html(view());
  for (const char* fact :
       {"<h1>press-7</h1>", ">ready<", "omnitide-agent 1.2.3, up 2 days", "6.1.0-test", "8 GiB",
        "<td>sda</td><td>1 TiB</td>", "<tr class=\"failed\"><td>policy</td><td>failed</td><td>no BTF</td>",
        "data-collectors=\"cpu meminfo\""})
    CHECK(has(html, fact));
  CHECK_FALSE(has(html, "Recent flows"));
}

TEST_CASE("nothing that a device, a pod or the configuration says becomes markup") {
  const std::string bad = "\"><script>alert(1)</script>&'\x1b[2J";
  PageView hostile = view();
  hostile.node = hostile.version = hostile.not_ready_because = bad;
  hostile.collectors = {bad};
  hostile.parts = {{bad, model::PartState::on, bad, {bad}}};
  hostile.facts.system.os_name = hostile.facts.cpu.model = bad;
  hostile.facts.storage.devices[0].name = hostile.facts.storage.devices[0].model = bad;
  model::NetworkInterface& nic = hostile.facts.network.emplace_back();
  nic.name = nic.kind = nic.state = bad;
  nic.addresses = {bad};
  hostile.policy = true;
  hostile.flows = {{bad, bad, bad, bad, bad, bad, bad}};
  const std::string html = page_html(hostile);
  CHECK_FALSE(has(html, "<script>alert"));
  CHECK_FALSE(has(html, "\x1b"));
  CHECK(has(html, "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;\\x1b[2J"));
  const std::string state = page_state(hostile);
  CHECK(has(state, "\"ready\":false"));
  CHECK(has(state, "\\u001b[2J"));
}

TEST_CASE("the state is what the script reads") {
  PageView now = view();
  now.policy = true;
  now.flows = {{"12:00:00", "DROPPED", "INGRESS", "TCP", "a", "b:80", "NetworkPolicy x/y"}};
  CHECK(page_state(now) ==
        "{\"ready\":true,\"notReadyBecause\":\"\",\"parts\":[[\"discovery\",\"on\",\"\"],[\"policy\",\"failed\",\"no "
        "BTF\"]],\"policy\":true,\"flows\":[[\"12:00:00\",\"DROPPED\",\"INGRESS\",\"TCP\",\"a\",\"b:80\","
        "\"NetworkPolicy x/y\"]]}\n");
}

TEST_CASE("script and style are small and ask nobody else") {
  CHECK(kPageScript.size() + kPageStyle.size() < 32U * 1024);
  for (const std::string_view text : {kPageScript, kPageStyle}) {
    CHECK(text.find("http") == std::string_view::npos);
    CHECK(text.find("//www") == std::string_view::npos);
    CHECK(text.find("innerHTML") == std::string_view::npos);
  }
}
