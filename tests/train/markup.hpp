// SPDX-License-Identifier: Apache-2.0
// A strict look at generated markup: every tag closed, in order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace markup {

/// What is wrong with the nesting of tags, empty if nothing. `<!...>` and the content of `<style>`
/// are skipped; a tag without content must end in `/>`.
inline std::string nesting_problem(std::string_view text) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while ((at = text.find('<', at)) != std::string_view::npos) {
    const std::size_t end = text.find('>', at);
    if (end == std::string_view::npos) return "a tag without an end";
    const std::string_view tag = text.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag.starts_with("!")) continue;
    if (tag.find('<') != std::string_view::npos) return "a tag within " + std::string{tag};
    if (tag.starts_with("/")) {
      if (open.empty() || open.back() != tag.substr(1)) return "unexpected <" + std::string{tag};
      open.pop_back();
      continue;
    }
    const std::string name{tag.substr(0, tag.find_first_of(" /"))};
    if (tag.ends_with("/")) continue;
    open.push_back(name);
    if (name == "style") at = text.find("</style>", at);
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

/// How often `part` occurs in `text`.
inline int count(std::string_view text, std::string_view part) {
  int found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; ++at) ++found;
  return found;
}

}  // namespace markup
