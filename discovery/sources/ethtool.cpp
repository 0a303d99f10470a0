#include "discovery/sources/ethtool.hpp"

#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "agent/base/netlink.hpp"
#include "agent/base/text.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::uint32_t kMaxFeatures = 1024;  // the kernel has 64 today
// linux/netdev.h came with 6.3, later than the oldest headers that we build with.
constexpr std::uint8_t kNetdevDevGet = 1;
constexpr std::uint16_t kNetdevIfindex = 1, kNetdevXdpFeatures = 3;
constexpr std::size_t kMaxLinks = 4096;
constexpr std::uint64_t kBitsPerMegabit = 1'000'000;

std::string_view fixed_text(const char* data, std::size_t size) { return {data, ::strnlen(data, size)}; }

}  // namespace

Result<Ethtool> Ethtool::open() {
  Ethtool out;
  out.fd_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!out.fd_) out.fd_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
  if (!out.fd_) return fail_errno(errno, "cannot open a socket for ethtool");
  return out;
}

bool Ethtool::call(const std::string& link, void* data) const {
  ifreq request{};
  if (link.size() >= sizeof request.ifr_name) return false;
  std::memcpy(request.ifr_name, link.data(), link.size());
  request.ifr_data = static_cast<char*>(data);
  return ::ioctl(fd_.get(), SIOCETHTOOL, &request) == 0;
}

bool Ethtool::load_names(const std::string& link) {
  ethtool_sset_info request{};
  request.cmd = ETHTOOL_GSSET_INFO;
  request.sset_mask = 1ULL << ETH_SS_FEATURES;
  std::string info(bytes_of(request));
  info.resize(sizeof request + sizeof(std::uint32_t));  // the kernel appends the length of each set that it has
  if (!call(link, info.data())) return false;
  std::memcpy(&request, info.data(), sizeof request);
  const auto count = netlink_value<std::uint32_t>(std::string_view(info).substr(sizeof request)).value_or(0);
  if (request.sset_mask == 0 || count == 0 || count > kMaxFeatures) return false;
  std::string buffer(sizeof(ethtool_gstrings) + std::size_t{count} * ETH_GSTRING_LEN, '\0');
  const ethtool_gstrings header{ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count};
  std::memcpy(buffer.data(), &header, sizeof header);
  if (!call(link, buffer.data())) return false;
  for (std::size_t i = 0; i < count; ++i)
    names_.emplace_back(fixed_text(buffer.data() + sizeof header + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN));
  return true;
}

std::vector<std::string> Ethtool::offloads(const std::string& link) {
  if (names_.empty() && !load_names(link)) return {};
  const std::size_t blocks = (names_.size() + 31) / 32;
  std::string buffer(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block), '\0');
  ethtool_gfeatures header{};
  header.cmd = ETHTOOL_GFEATURES;
  header.size = static_cast<std::uint32_t>(blocks);
  std::memcpy(buffer.data(), &header, sizeof header);
  if (!call(link, buffer.data())) return {};
  std::vector<std::string> out;
  for (std::size_t bit = 0; bit < names_.size(); ++bit) {
    const std::size_t at = sizeof header + bit / 32 * sizeof(ethtool_get_features_block);
    const auto block = netlink_value<ethtool_get_features_block>(std::string_view(buffer).substr(at));
    if (block && (block->active >> (bit % 32) & 1U) != 0 && !names_[bit].empty()) out.push_back(names_[bit]);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Ethtool::Driver Ethtool::driver(const std::string& link) const {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  if (!call(link, &info)) return {};
  return {printable(fixed_text(info.driver, sizeof info.driver)),
          printable(fixed_text(info.version, sizeof info.version)),
          printable(fixed_text(info.fw_version, sizeof info.fw_version))};
}

Ethtool::Settings Ethtool::settings(const std::string& link) {
  constexpr int kMaxWords = 127;
  std::string buffer(sizeof(ethtool_link_settings) + 3 * kMaxWords * sizeof(std::uint32_t), '\0');
  ethtool_link_settings settings{};
  // The first answer is minus the length of the masks and nothing else, the next one to the right length is the answer.
  for (int attempt = 0; attempt < 2; ++attempt) {
    settings = {};
    settings.cmd = ETHTOOL_GLINKSETTINGS;
    settings.link_mode_masks_nwords = mode_words_;
    std::memcpy(buffer.data(), &settings, sizeof settings);
    if (!call(link, buffer.data())) return {};
    std::memcpy(&settings, buffer.data(), sizeof settings);
    if (settings.link_mode_masks_nwords >= 0) break;
    mode_words_ = static_cast<std::int8_t>(-settings.link_mode_masks_nwords);
  }
  if (settings.link_mode_masks_nwords <= 0) return {};
  Settings out;
  if (settings.speed != 0 && settings.speed != static_cast<std::uint32_t>(SPEED_UNKNOWN))
    out.bits_per_second = settings.speed * kBitsPerMegabit;
  out.auto_negotiation = settings.autoneg == AUTONEG_ENABLE;
  if (settings.duplex == DUPLEX_FULL) out.duplex = "full";
  if (settings.duplex == DUPLEX_HALF) out.duplex = "half";
  return out;
}

std::vector<std::string> xdp_feature_names(std::uint64_t bits) {
  constexpr std::array<std::string_view, 7> kNames{"basic",      "redirect", "ndo-xmit",   "xsk-zerocopy",
                                                   "hw-offload", "rx-sg",    "ndo-xmit-sg"};
  std::vector<std::string> out;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((bits >> bit & 1U) != 0) out.emplace_back(kNames[bit]);
  }
  return out;
}

std::optional<std::pair<std::uint32_t, std::uint64_t>> parse_xdp_features(std::string_view payload) {
  if (payload.size() < GENL_HDRLEN) return std::nullopt;
  std::optional<std::uint32_t> index;
  std::optional<std::uint64_t> bits;
  NetlinkAttributes attributes(payload.substr(GENL_HDRLEN));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == kNetdevIfindex) index = netlink_value<std::uint32_t>(attribute->payload);
    if (attribute->type == kNetdevXdpFeatures) bits = netlink_value<std::uint64_t>(attribute->payload);
  }
  if (attributes.malformed() || !index || !bits) return std::nullopt;
  return std::pair{*index, *bits};
}

Result<std::map<std::uint32_t, std::uint64_t>> dump_xdp_features() {
  Result<NetlinkSocket> socket = NetlinkSocket::open(NETLINK_GENERIC);
  if (socket.has_error()) return socket.error();
  genlmsghdr header{CTRL_CMD_GETFAMILY, 1, 0};
  std::string payload(bytes_of(header));
  append_attribute(payload, CTRL_ATTR_FAMILY_NAME, std::string_view("netdev", 7));
  std::optional<std::uint16_t> family;
  Result<> done = socket->request(GENL_ID_CTRL, 0, payload, [&family](const NetlinkMessage& message) {
    if (message.payload.size() < GENL_HDRLEN) return;
    NetlinkAttributes attributes(message.payload.substr(GENL_HDRLEN));
    while (const auto attribute = attributes.next()) {
      if (attribute->type == CTRL_ATTR_FAMILY_ID) family = netlink_value<std::uint16_t>(attribute->payload);
    }
  });
  if (done.has_error()) return done.error();
  if (!family) return fail(Code::not_found, "the kernel has no netdev family");
  std::map<std::uint32_t, std::uint64_t> out;
  header = {kNetdevDevGet, 1, 0};
  done = socket->request(*family, NLM_F_DUMP, bytes_of(header), [&out](const NetlinkMessage& message) {
    const auto features = parse_xdp_features(message.payload);
    if (features && out.size() < kMaxLinks) out.insert(*features);
  });
  if (done.has_error() && done.error().code != Code::aborted) return done.error();
  return out;
}

}  // namespace omnitide::discovery
