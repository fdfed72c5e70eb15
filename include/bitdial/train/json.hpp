// SPDX-License-Identifier: Apache-2.0
// A JSON writer for summaries: objects, arrays, text, numbers; commas and indentation by itself.
#pragma once

#include <cmath>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Builds one JSON document, two spaces per level.
///
/// `json.begin_object().member("top1", 0.91).key("rows").begin_array().value(1).end().end();`
/// Numbers are written with the fewest digits that read back to the same value. Throws
/// `ConfigError` for NaN and infinities, which JSON does not have.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{', '}'); }
  JsonWriter& begin_array() { return open('[', ']'); }
  /// Ends the innermost object or array.
  JsonWriter& end() {
    BITDIAL_ASSERT(!open_.empty());
    const char closing = open_.back();
    open_.pop_back();
    if (!first_) new_line();
    first_ = false;
    text_ += closing;
    return *this;
  }

  /// The name of the next value, inside an object.
  JsonWriter& key(std::string_view name) {
    separate();
    append_quoted(name);
    text_ += ": ";
    after_key_ = true;
    return *this;
  }
  template <class T>
  JsonWriter& value(const T& value) {
    separate();
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      append_quoted(value);
    } else {
      if constexpr (std::floating_point<T>) {
        if (!std::isfinite(value))
          throw ConfigError(concat("json: expected a finite number, found ", value));
      }
      text_ += concat(value);
    }
    return *this;
  }
  template <class T>
  JsonWriter& member(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  /// The document with a final line end; call it when everything is ended.
  [[nodiscard]] std::string text() const {
    BITDIAL_ASSERT(open_.empty());
    return text_ + '\n';
  }

 private:
  JsonWriter& open(char opening, char closing) {
    separate();
    text_ += opening;
    open_ += closing;
    first_ = true;
    return *this;
  }
  /// What comes before a key, or before a value without one.
  void separate() {
    if (std::exchange(after_key_, false) || open_.empty()) return;
    if (!std::exchange(first_, false)) text_ += ',';
    new_line();
  }
  void new_line() { text_ += '\n' + std::string(2 * open_.size(), ' '); }
  void append_quoted(std::string_view value) {
    constexpr std::string_view hex = "0123456789abcdef";
    text_ += '"';
    for (const char c : value) {
      const auto code = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        text_ += {'\\', c};
      } else if (code < 0x20) {
        text_ += concat("\\u00", hex[code >> 4], hex[code & 15]);
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
  std::string open_;  // the closing brackets still to come
  bool first_ = true;
  bool after_key_ = false;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
