// Names for numbers out of pci.ids and usb.ids (https://pci-ids.ucw.cz, http://www.linux-usb.org), of which
// only the wanted ones are kept.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

class IdNames {
 public:
  void want(std::uint32_t vendor, std::uint32_t device);
  void want_class(std::uint32_t code);  // class << 16 | subclass << 8 | interface, as the PCI bus counts

  // "pci.ids" or "usb.ids" in /usr/share/misc or /usr/share/hwdata. An absent file is no problem: names stay empty.
  void load(Reader& reader, std::string_view file);
  void scan(std::string_view lines);  // whole lines

  [[nodiscard]] std::string vendor(std::uint32_t vendor) const;
  [[nodiscard]] std::string device(std::uint32_t vendor, std::uint32_t device) const;
  [[nodiscard]] std::string class_name(std::uint32_t code) const;  // the subclass', else the class'

 private:
  enum class Section : std::uint8_t { other, vendor, device_class };
  void scan_top(std::string_view line);
  void scan_nested(std::string_view line);
  // Whether the file has the one entry soon after a byte, or, if it is sorted, all that are wanted; what it has is
  // taken.
  [[nodiscard]] bool scan_entry(int fd, std::uint64_t start, std::uint32_t order);
  [[nodiscard]] bool scan_sorted(int fd, std::uint64_t size);

  std::map<std::uint32_t, std::string> vendors_, devices_, classes_, subclasses_;
  Section section_ = Section::other;
  std::uint32_t current_ = 0;
};

}  // namespace omnitide::discovery
