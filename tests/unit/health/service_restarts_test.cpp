// A service that systemd restarts: what is counted, when it is too often, and when no longer.
#include "health/checks/service_restarts.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using health::ServiceRestarts;
using health::Verdict;

namespace {

Verdict verdict(const ServiceRestarts& service, std::chrono::milliseconds now) { return service.look(now).verdict; }

}  // namespace

TEST_CASE("five restarts within twenty minutes are too many, and it is over when they are longer ago") {
  ServiceRestarts kubelet(health::kRestartedServices[0]);
  CHECK(verdict(kubelet, 1h) == Verdict::unknown);
  CHECK(kubelet.count(7, 1h));  // what was before is not known
  CHECK_FALSE(kubelet.count(7, 61min));
  CHECK(verdict(kubelet, 61min) == Verdict::good);
  for (std::uint64_t i = 1; i <= 5; ++i) {
    CHECK(verdict(kubelet, 61min + i * 1min) == Verdict::good);
    CHECK(kubelet.count(7 + i, 61min + i * 1min));
  }
  const health::Finding bad = kubelet.look(66min);
  CHECK(bad.verdict == Verdict::bad);
  CHECK(bad.condition == "FrequentKubeletRestart");
  CHECK(bad.reason == "FrequentKubeletRestart");
  CHECK(bad.message == "systemd restarted kubelet.service 5 times within 20 minutes");
  CHECK(verdict(kubelet, 82min - 1ms) == Verdict::bad);
  CHECK(verdict(kubelet, 82min) == Verdict::good);
  CHECK(kubelet.look(82min).reason == "NoFrequentKubeletRestart");
}

TEST_CASE("restarts of the first five minutes after the boot do not count") {
  ServiceRestarts service(health::kRestartedServices[1]);
  (void)service.count(0, 10s);
  (void)service.count(4, 5min - 1s);
  for (std::uint64_t i = 5; i < 9; ++i)
    (void)service.count(i, 5min + i * 1s);
  CHECK(verdict(service, 6min) == Verdict::good);
  (void)service.count(9, 6min);
  CHECK(verdict(service, 6min) == Verdict::bad);
}

TEST_CASE("a counter that began anew is counted from there") {
  ServiceRestarts service(health::kRestartedServices[0]);
  (void)service.count(100, 1h);
  (void)service.count(2, 61min);  // somebody started it by hand, then it was restarted twice
  CHECK(verdict(service, 61min) == Verdict::good);
  (void)service.count(5, 62min);
  CHECK(verdict(service, 62min) == Verdict::bad);
}

TEST_CASE("restarts while no agent ran are spread over that time, and what was seen before is kept") {
  ServiceRestarts before(health::kRestartedServices[0]);
  (void)before.count(0, 1h);
  (void)before.count(3, 1h + 1s);
  ServiceRestarts after(health::kRestartedServices[0]);
  after.restore(before.known());
  CHECK(verdict(after, 1h + 2s) == Verdict::good);
  (void)after.count(5, 1h + 3s);
  CHECK(verdict(after, 1h + 3s) == Verdict::bad);

  ServiceRestarts later(health::kRestartedServices[0]);
  later.restore(before.known());
  (void)later.count(13, 11h);  // one an hour
  CHECK(verdict(later, 11h) == Verdict::good);
  ServiceRestarts crowded(health::kRestartedServices[0]);
  crowded.restore(before.known());
  (void)crowded.count(1'000'000'000, 11h);
  CHECK(verdict(crowded, 11h) == Verdict::bad);
  CHECK(crowded.known().times.size() == ServiceRestarts::kRemembered);
}

TEST_CASE("a service that was removed is nobody's fault any more") {
  ServiceRestarts service(health::kRestartedServices[0]);
  (void)service.count(0, 1h);
  (void)service.count(9, 1h);
  CHECK(verdict(service, 1h) == Verdict::bad);
  service.gone();
  CHECK(verdict(service, 1h) == Verdict::unknown);
}
