// What disks say of their wear: the bytes of their pages, the report, and what the check makes of it. There is no such
// disk on the machines that run this: pages are made by this test after the standards' tables.
#include "health/checks/disk_wear.hpp"

#include <numeric>
#include <string>

#include "health/checks/checks.hpp"
#include "health/checks/probes.hpp"
#include "health/maintenance/ata_smart.hpp"
#include "health/maintenance/disk_report.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using namespace omnitide::health;
using namespace std::chrono_literals;

namespace {

void put(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// SMART READ DATA with a checksum that fits.
std::string attributes_page(const std::vector<AtaAttribute>& attributes) {
  std::string page(kAtaPageBytes, '\0');
  put(page, 0, 0x0010, 2);
  std::size_t at = 2;
  for (const AtaAttribute& each : attributes) {
    put(page, at, each.id, 1);
    put(page, at + 1, 0x0032, 2);
    put(page, at + 3, each.value, 1);
    put(page, at + 4, each.worst, 1);
    put(page, at + 5, each.raw, 6);
    at += 12;
  }
  const unsigned sum = std::accumulate(page.begin(), page.end(), 0U,
                                       [](unsigned a, char c) { return a + static_cast<unsigned char>(c); });
  page[511] = static_cast<char>(256 - sum % 256);
  return page;
}

std::string status_sense(std::uint8_t mid, std::uint8_t high) {
  std::string out("\x72\x01\x00\x1d\x00\x00\x00\x0e\x09\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x50", 22);
  out[17] = static_cast<char>(mid);
  out[19] = static_cast<char>(high);
  return out;
}

Finding judged(const std::string& report) {
  test::TempTree tree;
  if (!report.empty()) tree.file("run/omnitide-maintenance/smart.prom", report);
  const Result<Root> root = Root::open(tree.path());
  REQUIRE(root);
  for (const model::Collector& probe : probes(*root)) {
    if (probe.name != kDiskWearProbe) continue;
    model::SampleBatch batch;
    REQUIRE(probe.collect(batch));
    const model::SampleBatch* batches[] = {&batch};
    return look_at_disk_wear(Readings(batches, SteadyTime{}), 0.9);
  }
  throw std::runtime_error("there is no such probe");
}

}  // namespace

TEST_CASE("the attributes of an ATA disk are read, and a page that was damaged is not") {
  std::string page = attributes_page({{5, 100, 100, 0}, {177, 93, 93, 0x1234}, {197, 100, 100, 0x010203040506}});
  const auto attributes = decode_ata_attributes(page);
  REQUIRE(attributes);
  REQUIRE(attributes->size() == 3);
  CHECK((*attributes)[1].id == 177);
  CHECK((*attributes)[1].value == 93);
  CHECK((*attributes)[2].raw == 0x010203040506);
  AtaHealth health;
  add_attributes(*attributes, health);
  CHECK(health.used_ratio == Approx(0.07));
  CHECK(health.bad_sectors == 0x03040506);
  AtaHealth stated{.failing = {}, .used_ratio = 0.5, .bad_sectors = {}};
  add_attributes(*attributes, stated);
  CHECK(stated.used_ratio == 0.5);  // what the disk states itself counts
  page[100] ^= 1;
  CHECK_FALSE(decode_ata_attributes(page));
  CHECK_FALSE(decode_ata_attributes(page.substr(0, 511)));
  CHECK_FALSE(decode_ata_attributes(""));
}

TEST_CASE("the endurance statistic counts only where the disk says that it is valid") {
  std::string page(kAtaPageBytes, '\0');
  page[2] = 7;
  put(page, 8, 0xC000000000000061, 8);
  CHECK(decode_ata_endurance(page) == Approx(0.97));
  put(page, 8, 0x8000000000000061, 8);
  CHECK_FALSE(decode_ata_endurance(page));
  put(page, 8, 0xC0000000000000FF, 8);
  CHECK(decode_ata_endurance(page) == Approx(2.55));
  page[2] = 1;
  CHECK_FALSE(decode_ata_endurance(page));
  CHECK_FALSE(decode_ata_endurance("short"));
}

TEST_CASE("whether a disk expects to fail stands in two registers") {
  CHECK(decode_ata_status(status_sense(0x4F, 0xC2)) == false);
  CHECK(decode_ata_status(status_sense(0xF4, 0x2C)) == true);
  CHECK(decode_ata_status(status_sense(0, 0)) == std::nullopt);
  CHECK(decode_ata_status(status_sense(0x4F, 0xC2).substr(0, 21)) == std::nullopt);
  std::string fixed = status_sense(0x4F, 0xC2);
  fixed[0] = 0x70;  // fixed format has no such descriptor
  CHECK(decode_ata_status(fixed) == std::nullopt);
}

TEST_CASE("the report that root writes is what the check reads") {
  CHECK(judged("").verdict == Verdict::unknown);
  DiskReport report;
  DiskHealth nvme;
  nvme.name = "nvme0";
  nvme.used_ratio = 0.12;
  nvme.spare_ratio = 1;
  nvme.spare_threshold_ratio = 0.1;
  nvme.critical_warning = 0;
  DiskHealth ata;
  ata.name = "sda";
  ata.failing = 0;
  ata.bad_sectors = 3;
  report.disks = {nvme, ata};
  const auto look = [&report] { return judged(render(report, WallTime{1'700'000'000s})); };
  CHECK(look().verdict == Verdict::good);
  report.disks[0].critical_warning = 2;  // the temperature is another check's
  CHECK(look().verdict == Verdict::good);
  report.disks[0].used_ratio = 0.9;
  CHECK(look().reason == "DiskWornOut");
  CHECK(look().message == "nvme0 has used 90.0 % of its rated life");
  report.disks[0].spare_ratio = 0.09;
  CHECK(look().reason == "DiskSpareLow");
  report.disks[0].critical_warning = 8;
  CHECK(look().reason == "DiskWarns");
  report.disks[0] = nvme;
  report.disks[1].failing = 1;
  const Finding failing = look();
  CHECK(failing.reason == "DiskFailing");
  CHECK(failing.evidence == Evidence{{"device", "sda"}, {"bad_sectors", "3"}});
}

TEST_CASE("lines of the report") {
  const auto value = parse_disk_value("omnitide_disk_used_ratio{device=\"nvme0\"} 0.25");
  REQUIRE(value);
  CHECK((value->family == "omnitide_disk_used_ratio" && value->device == "nvme0" && value->value == 0.25));
  CHECK(parse_disk_value("omnitide_disk_report_time_seconds 17")->device.empty());
  for (const char* bad : {"", "# HELP x", "x", "x{device=\"a\"}", "x{device=\"a 1", "x y", "x{device=\"a\"} y", " 1"})
    CHECK_FALSE(parse_disk_value(bad));
}
