// The registry's database file: its form, its migrations, and the checks at opening.
#pragma once

#include <string>

#include "agent/registry/database.hpp"

namespace omnitide::registry {

inline constexpr int kSchemaVersion = 3;
inline constexpr std::int64_t kApplicationId = 0x4f54524c;  // "OTRL", so that another program's database is refused

// Opens or makes the database, checks it (quick_check), migrates it. WAL with synchronous=FULL: a commit that was
// answered is on disk, also after power loss. data_loss names the file and the way out.
[[nodiscard]] Result<Database> open_store(const std::string& path);
// A second connection for reading, after open_store().
[[nodiscard]] Result<Database> open_reader(const std::string& path);
// Whether the file is a whole and sound registry database of a version that this program knows (integrity_check).
[[nodiscard]] Result<> check_backup(const std::string& path);

}  // namespace omnitide::registry
