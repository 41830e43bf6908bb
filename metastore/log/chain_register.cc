#include "metastore/log/chain_register.h"

#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "metastore/store/store.h"

namespace kafed::metastore {
namespace {

constexpr char kChainKey[] = "log.chain";
constexpr std::string_view kVersionPrefix = "v1 ";

absl::Status Unreadable() {
  return absl::DataLossError("the chain of loglets is unreadable");
}

// Cuts the first line off; false when there is none that ends.
bool TakeLine(std::string_view* text, std::string_view* line) {
  const size_t end = text->find('\n');
  if (end == std::string_view::npos) return false;
  *line = text->substr(0, end);
  text->remove_prefix(end + 1);
  return true;
}

// Cuts a decimal number off.
bool TakeNumber(std::string_view* text, uint64_t* number) {
  const auto [end, error] =
      std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

}  // namespace

absl::Status ChainChangedStatus(uint64_t expected, uint64_t actual) {
  return absl::AbortedError(absl::StrCat("the chain of loglets has version ",
                                         actual, ", not ", expected,
                                         ": read it and plan again"));
}

absl::Status CheckLinks(const std::vector<ChainLink>& links) {
  if (links.empty()) {
    return absl::InvalidArgumentError("a chain needs at least one loglet");
  }
  LogIndex lowest(1);
  for (const ChainLink& link : links) {
    if (link.loglet.empty() || link.loglet.find('\n') != std::string::npos) {
      return absl::InvalidArgumentError(
          "a loglet of a chain needs a name of one line");
    }
    if (link.first < lowest) {
      return absl::InvalidArgumentError(
          absl::StrCat("loglet '", link.loglet, "' begins at ",
                       link.first.value(), ", before ", lowest.value()));
    }
    lowest = link.first;
  }
  return absl::OkStatus();
}

std::string EncodeChain(const Chain& chain) {
  std::string text =
      absl::StrCat(std::string(kVersionPrefix), chain.version, "\n");
  for (const ChainLink& link : chain.links) {
    absl::StrAppend(&text, link.first.value(), " ", link.loglet, "\n");
  }
  return text;
}

absl::StatusOr<Chain> DecodeChain(std::string_view text) {
  Chain chain;
  std::string_view line;
  if (!TakeLine(&text, &line) || !line.starts_with(kVersionPrefix)) {
    return Unreadable();
  }
  line.remove_prefix(kVersionPrefix.size());
  if (!TakeNumber(&line, &chain.version) || !line.empty()) return Unreadable();
  while (!text.empty()) {
    uint64_t first = 0;
    if (!TakeLine(&text, &line) || !TakeNumber(&line, &first) ||
        !line.starts_with(' ')) {
      return Unreadable();
    }
    chain.links.push_back({std::string(line.substr(1)), LogIndex(first)});
  }
  if (chain.version == 0 || !CheckLinks(chain.links).ok()) return Unreadable();
  return chain;
}

absl::StatusOr<Chain> MemoryChainRegister::Read() {
  std::lock_guard lock(mutex_);
  return chain_;
}

absl::StatusOr<Chain> MemoryChainRegister::CompareAndSet(
    uint64_t expected, std::vector<ChainLink> links) {
  RETURN_IF_ERROR(CheckLinks(links));
  std::lock_guard lock(mutex_);
  if (chain_.version != expected)
    return ChainChangedStatus(expected, chain_.version);
  chain_ = {expected + 1, std::move(links)};
  return chain_;
}

absl::StatusOr<Chain> StoreChainRegister::ReadLocked() {
  ASSIGN_OR_RETURN(const auto text, store_.GetMeta(kChainKey));
  if (!text.has_value()) return Chain();
  return DecodeChain(*text);
}

absl::StatusOr<Chain> StoreChainRegister::Read() {
  std::lock_guard lock(mutex_);
  return ReadLocked();
}

absl::StatusOr<Chain> StoreChainRegister::CompareAndSet(
    uint64_t expected, std::vector<ChainLink> links) {
  RETURN_IF_ERROR(CheckLinks(links));
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(Chain chain, ReadLocked());
  if (chain.version != expected)
    return ChainChangedStatus(expected, chain.version);
  chain = {expected + 1, std::move(links)};
  RETURN_IF_ERROR(store_.PutMeta(kChainKey, EncodeChain(chain)));
  return chain;
}

}  // namespace kafed::metastore
