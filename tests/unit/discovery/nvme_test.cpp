#include "discovery/sources/nvme.hpp"

#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using model::BlockDevice;

namespace {

void put(std::string& page, std::size_t at, std::string_view bytes) { page.replace(at, bytes.size(), bytes); }
void put_number(std::string& page, std::size_t at, std::size_t bytes, std::uint64_t value) {
  for (std::size_t i = 0; i < bytes; ++i)
    page[at + i] = static_cast<char>(i < 8 ? value >> (8 * i) & 0xFFU : 0);
}

}  // namespace

TEST_CASE("the identify page gives model, serial, firmware and name, without padding") {
  std::string page(kNvmeIdentifyBytes, '\0');
  put(page, 4, "S437NX0K100001      ");
  put(page, 24, "SAMSUNG MZQLB960HAJR-00007              ");
  put(page, 64, "EDA5602Q");
  put(page, 768, "nqn.1994-11.com.samsung:nvme:x");
  const auto identity = decode_nvme_identify(page);
  REQUIRE(identity);
  CHECK(identity->serial == "S437NX0K100001");
  CHECK(identity->model == "SAMSUNG MZQLB960HAJR-00007");
  CHECK(identity->firmware == "EDA5602Q");
  CHECK(identity->nqn == "nqn.1994-11.com.samsung:nvme:x");
}

TEST_CASE("the SMART log page is read in base units") {
  std::string page(kNvmeSmartBytes, '\0');
  page[0] = 0x04;
  put_number(page, 1, 2, 310);  // kelvin
  put_number(page, 3, 1, 100);
  put_number(page, 4, 1, 10);
  put_number(page, 5, 1, 255);
  put_number(page, 32, 16, 1000);
  put_number(page, 48, 16, 2000);
  put_number(page, 64, 16, 7);
  put_number(page, 96, 16, 60);
  put_number(page, 112, 16, 42);
  put_number(page, 128, 16, 24);
  put_number(page, 144, 16, 3);
  put_number(page, 160, 16, 1);
  put_number(page, 192, 4, 2);
  put_number(page, 202, 2, 300);
  const auto log = decode_nvme_smart(page);
  REQUIRE(log);
  CHECK(log->critical_warning == 4);
  CHECK(log->temperature_celsius == 37);
  CHECK(log->available_spare_ratio == 1);
  CHECK(log->spare_threshold_ratio == Approx(0.1));
  CHECK(log->used_ratio == Approx(2.55));
  CHECK(log->read_bytes == 512e6);
  CHECK(log->written_bytes == 1024e6);
  CHECK(log->read_commands == 7);
  CHECK(log->busy_seconds == 3600);
  CHECK(log->power_cycles == 42);
  CHECK(log->power_on_seconds == 86400);
  CHECK(log->unsafe_shutdowns == 3);
  CHECK(log->media_errors == 1);
  CHECK(log->warning_temperature_seconds == 120);
  CHECK_FALSE(log->sensors_celsius[0]);
  CHECK(log->sensors_celsius[1] == 27);
}

TEST_CASE("counters of 128 bits are not cut to 64") {
  std::string page(kNvmeSmartBytes, '\0');
  page[112 + 8] = 1;  // 2^64
  CHECK(decode_nvme_smart(page)->power_cycles == 18446744073709551616.0);
}

TEST_CASE("pages of any bytes are decoded, short ones refused") {
  CHECK_FALSE(decode_nvme_identify(std::string(kNvmeIdentifyBytes - 1, 'x')));
  CHECK_FALSE(decode_nvme_smart(std::string(kNvmeSmartBytes - 1, 'x')));
  CHECK(decode_nvme_smart(std::string(kNvmeSmartBytes, '\xff')));
  const auto identity = decode_nvme_identify(std::string(kNvmeIdentifyBytes, '\x1b'));
  REQUIRE(identity);
  CHECK(identity->model.find('\x1b') == std::string::npos);
}

TEST_CASE("a namespace has the identity of its controller, through multipath too") {
  const Root root = fixture("server-numa");
  Reading reading = read_source(block_source(), root);
  Result<Report> nvme = nvme_source().read(root);
  REQUIRE(nvme.has_value());
  CHECK(nvme->problems.empty());
  nvme->patch(reading.facts);
  const auto& devices = reading.facts.storage.devices;
  const auto& first = item(devices, &BlockDevice::name, "nvme0n1").nvme;
  REQUIRE(first);
  CHECK(first->controller == "nvme0");
  CHECK(first->model == "SAMSUNG MZQLB960HAJR-00007");
  CHECK(first->serial == "S437NX0K100001");
  CHECK(first->firmware == "EDA5602Q");
  CHECK(first->transport == "pcie");
  CHECK(first->nqn == "nqn.1994-11.com.samsung:nvme:PM983:2.5-inch:S437NX0K100001");
  const auto& second = item(devices, &BlockDevice::name, "nvme1n1").nvme;
  REQUIRE(second);
  CHECK(second->controller == "nvme1");
  CHECK_FALSE(item(devices, &BlockDevice::name, "nvme0n1p1").nvme);
  CHECK_FALSE(item(devices, &BlockDevice::name, "sda").nvme);
}

TEST_CASE("controllers whose links loop are a problem and no more") {
  const Reading reading = read_source(nvme_source(), fixture("hostile"));
  CHECK_FALSE(reading.problems.empty());
}

TEST_CASE("a file that poses as a controller's device is refused") {
  TempTree tree;
  const Root root = tree.file("dev/nvme0", "x").root();
  CHECK(read_nvme_smart(root, "nvme0").error().code == Code::invalid_argument);
  CHECK(read_nvme_identify(root, "nvme7").error().code == Code::not_found);
}
