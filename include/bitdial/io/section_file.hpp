// SPDX-License-Identifier: Apache-2.0
// The container of model files and training checkpoints: a versioned, checksummed table of aligned
// byte sections. docs/file-format.md describes every bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/io/byte_io.hpp>
#include <bitdial/io/checksum.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

/// What a file claims to be, and the versions that this build understands.
///
/// A reader takes every file of its own major version: a newer minor version may only add sections
/// and append fields to sections.
struct SectionFileKind {
  std::array<char, 8> magic{};
  std::uint32_t major = 1;
  std::uint32_t minor = 0;
  std::string_view name;  ///< for error texts: "bitdial model"
};

/// Name of a section: what it holds and which one of those.
struct SectionKey {
  std::uint32_t id = 0;
  std::uint32_t index = 0;

  [[nodiscard]] std::string text() const { return concat(id, ".", index); }
  friend constexpr auto operator<=>(const SectionKey&, const SectionKey&) = default;
};

namespace detail {

inline constexpr std::size_t section_alignment = 64;
inline constexpr std::size_t section_header_bytes = 64;
inline constexpr std::size_t section_hashed_header_bytes = 56;
inline constexpr std::size_t section_entry_bytes = 32;

/// The checksum in the header: the first 56 bytes, then the section table.
[[nodiscard]] constexpr std::uint64_t section_header_checksum(
    std::span<const std::byte> header, std::span<const std::byte> table) noexcept {
  return xxh64(table, xxh64(header.first(section_hashed_header_bytes)));
}

}  // namespace detail

/// Collects sections and lays them out. The same sections in the same order give the same bytes.
class SectionFileWriter {
 public:
  explicit SectionFileWriter(const SectionFileKind& kind) : kind_{kind} {}

  /// Adds a section; a key may be used once.
  void add(SectionKey key, std::vector<std::byte> bytes) {
    sections_.push_back({key, std::move(bytes)});
  }

  /// The bytes of the file.
  [[nodiscard]] std::vector<std::byte> finish() const {
    const std::size_t table_bytes = sections_.size() * detail::section_entry_bytes;
    const auto aligned = [](std::size_t size) {
      constexpr std::size_t unit = detail::section_alignment;
      return (size + unit - 1) / unit * unit;
    };
    ByteWriter table;
    std::size_t end = detail::section_header_bytes + table_bytes;
    for (const Section& section : sections_) {
      const std::size_t offset = aligned(end);
      table.put(section.key.id);
      table.put(section.key.index);
      table.put(static_cast<std::uint64_t>(offset));
      table.put(static_cast<std::uint64_t>(section.bytes.size()));
      table.put(xxh64(section.bytes));
      end = offset + section.bytes.size();
    }
    ByteWriter file;
    file.put_bytes(std::as_bytes(std::span{kind_.magic}));
    file.put(kind_.major);
    file.put(kind_.minor);
    file.put(static_cast<std::uint64_t>(end));
    file.put(static_cast<std::uint32_t>(sections_.size()));
    for (int i = 0; i < 7; ++i) file.put(std::uint32_t{0});
    file.put(detail::section_header_checksum(file.bytes(), table.bytes()));
    file.put_bytes(table.bytes());
    for (const Section& section : sections_) {
      file.align(detail::section_alignment);
      file.put_bytes(section.bytes);
    }
    return file.take();
  }

 private:
  struct Section {
    SectionKey key;
    std::vector<std::byte> bytes;
  };
  SectionFileKind kind_;
  std::vector<Section> sections_;
};

/// A view of a section file in memory: nothing is copied, the bytes must outlive it.
///
/// `parse` proves the header, the table and every section's place before anything else is read;
/// `section` proves a section's checksum each time. Sections that nobody asks for are not touched.
class SectionFile {
 public:
  /// Errors name `where` (a path), what was expected and what was found: not this kind of file, a
  /// newer major version, truncated or longer than announced, a damaged header or table.
  [[nodiscard]] static Result<SectionFile> parse(std::span<const std::byte> bytes,
                                                 const SectionFileKind& kind,
                                                 std::string_view where) {
    SectionFile file{bytes, kind, where};
    if (Result<void> header = file.read_header(); !header) return header.failure();
    if (Result<void> table = file.read_table(); !table) return table.failure();
    return file;
  }

  /// The file's minor version; newer than the reader's means that sections may end in unknown
  /// fields.
  [[nodiscard]] std::uint32_t minor() const noexcept { return minor_; }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// The checksum of the header and of the table with all checksums: it names the contents.
  [[nodiscard]] std::uint64_t checksum() const noexcept { return checksum_; }
  [[nodiscard]] bool contains(SectionKey key) const noexcept { return find(key) != nullptr; }

  /// The number of sections `{id, 0}, {id, 1}, ...` without a gap.
  [[nodiscard]] std::uint32_t count(std::uint32_t id) const noexcept {
    std::uint32_t index = 0;
    while (contains({id, index})) ++index;
    return index;
  }

  /// The bytes of a section after its checksum was compared.
  [[nodiscard]] Result<std::span<const std::byte>> section(SectionKey key) const {
    const Entry* const entry = find(key);
    if (entry == nullptr) {
      return Failure{concat(where_, ": damaged ", kind_.name, ": section ", key, " is missing")};
    }
    if (xxh64(bytes_of(*entry)) != entry->checksum) {
      return Failure{concat(where_, ": damaged ", kind_.name, ": section ", key, " at offset ",
                            entry->offset, ", ", entry->size, " bytes, has a wrong checksum")};
    }
    return bytes_of(*entry);
  }

  /// The bytes of a section without a look at them; empty when there is none. Its checksum still
  /// has to be proved with `section` before the contents are believed.
  [[nodiscard]] std::span<const std::byte> unverified(SectionKey key) const noexcept {
    const Entry* const entry = find(key);
    return entry == nullptr ? std::span<const std::byte>{} : bytes_of(*entry);
  }

  /// Proves the checksum of every section.
  [[nodiscard]] Result<void> verify() const {
    for (const Entry& entry : entries_) {
      if (auto bytes = section(entry.key); !bytes) return bytes.failure();
    }
    return {};
  }

 private:
  struct Entry {
    SectionKey key;
    std::uint64_t offset = 0, size = 0, checksum = 0;
  };

  SectionFile(std::span<const std::byte> bytes, const SectionFileKind& kind, std::string_view where)
      : bytes_{bytes}, kind_{kind}, where_{where} {}

  [[nodiscard]] Failure damaged(std::string_view what) const {
    return Failure{concat(where_, ": damaged ", kind_.name, ": ", what)};
  }

  [[nodiscard]] Result<void> read_header() {
    const std::size_t known = std::min(bytes_.size(), kind_.magic.size());
    if (bytes_.empty() || std::memcmp(bytes_.data(), kind_.magic.data(), known) != 0) {
      return Failure{concat(where_, ": is not a ", kind_.name, " file: it starts with ",
                            hex(bytes_.first(known)), ", expected ",
                            hex(std::as_bytes(std::span{kind_.magic})))};
    }
    if (bytes_.size() < detail::section_header_bytes) {
      return damaged(concat("truncated: ", bytes_.size(), " bytes, the header alone has ",
                            detail::section_header_bytes));
    }
    ByteReader reader{bytes_.subspan(kind_.magic.size())};
    const auto major = reader.get<std::uint32_t>();
    minor_ = reader.get<std::uint32_t>();
    if (major != kind_.major) {
      return Failure{concat(where_, ": ", kind_.name, " version ", major, ".", minor_,
                            ", this build reads version ", kind_.major, ".x")};
    }
    const auto size = reader.get<std::uint64_t>();
    if (size != bytes_.size()) {
      return damaged(concat(size > bytes_.size() ? "truncated: " : "too long: ", bytes_.size(),
                            " bytes, the header announces ", size));
    }
    const auto count = reader.get<std::uint32_t>();
    const std::size_t room = bytes_.size() - detail::section_header_bytes;
    if (count > room / detail::section_entry_bytes) {
      return damaged(concat("the header announces ", count, " sections, ", room,
                            " bytes cannot hold their table"));
    }
    table_ = bytes_.subspan(detail::section_header_bytes, count * detail::section_entry_bytes);
    ByteReader stored{bytes_.subspan(detail::section_hashed_header_bytes, 8)};
    checksum_ = stored.get<std::uint64_t>();
    if (checksum_ != detail::section_header_checksum(bytes_, table_)) {
      return damaged("the header or section table has a wrong checksum");
    }
    return {};
  }

  [[nodiscard]] Result<void> read_table() {
    ByteReader reader{table_};
    entries_ = std::vector<Entry>(table_.size() / detail::section_entry_bytes);
    std::uint64_t end = detail::section_header_bytes + table_.size();
    for (Entry& entry : entries_) {
      entry.key.id = reader.get<std::uint32_t>();
      entry.key.index = reader.get<std::uint32_t>();
      entry.offset = reader.get<std::uint64_t>();
      entry.size = reader.get<std::uint64_t>();
      entry.checksum = reader.get<std::uint64_t>();
      if (entry.offset % detail::section_alignment != 0 || entry.offset < end ||
          entry.offset > bytes_.size() || entry.size > bytes_.size() - entry.offset) {
        return damaged(concat("section ", entry.key, " at offset ", entry.offset, " with ",
                              entry.size, " bytes does not fit between ", end, " and ",
                              bytes_.size(), " on a multiple of ", detail::section_alignment));
      }
      end = entry.offset + entry.size;
    }
    // A heap: of all sorts that no file can slow down the one with the least code.
    std::ranges::make_heap(entries_, {}, &Entry::key);
    std::ranges::sort_heap(entries_, {}, &Entry::key);
    for (std::size_t i = 1; i < entries_.size(); ++i) {
      if (entries_[i - 1].key == entries_[i].key) {
        return damaged(concat("section ", entries_[i].key, " appears twice"));
      }
    }
    return {};
  }

  [[nodiscard]] const Entry* find(SectionKey key) const noexcept {
    const auto found =
        std::lower_bound(entries_.begin(), entries_.end(), key,
                         [](const Entry& entry, SectionKey wanted) { return entry.key < wanted; });
    return found != entries_.end() && found->key == key ? &*found : nullptr;
  }

  [[nodiscard]] std::span<const std::byte> bytes_of(const Entry& entry) const noexcept {
    return bytes_.subspan(static_cast<std::size_t>(entry.offset),
                          static_cast<std::size_t>(entry.size));
  }

  [[nodiscard]] static std::string hex(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
      const auto value = std::to_integer<std::size_t>(byte);
      if (!text.empty()) text += ' ';
      text += digits[value / 16];
      text += digits[value % 16];
    }
    return text.empty() ? "nothing" : text;
  }

  std::span<const std::byte> bytes_;
  std::span<const std::byte> table_;
  SectionFileKind kind_;
  std::string where_;
  std::uint32_t minor_ = 0;
  std::uint64_t checksum_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace bitdial::inline BITDIAL_ABI::io
