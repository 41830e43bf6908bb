#include "metastore/log/etcd_chain_register.h"

#include <utility>

#include "common/status_macros.h"

namespace kafed::metastore {

EtcdChainRegister::EtcdChainRegister(EtcdSession* session, std::string key)
    : session_(*session), key_(std::move(key)) {}

absl::StatusOr<EtcdChainRegister::Stored> EtcdChainRegister::ReadStored() {
  const auto pair = session_.Get(key_);
  if (absl::IsNotFound(pair.status())) return Stored();
  RETURN_IF_ERROR(pair.status());
  ASSIGN_OR_RETURN(Chain chain, DecodeChain(pair->value));
  return Stored{std::move(chain), pair->revision};
}

absl::StatusOr<Chain> EtcdChainRegister::Read() {
  ASSIGN_OR_RETURN(Stored stored, ReadStored());
  return std::move(stored.chain);
}

absl::StatusOr<Chain> EtcdChainRegister::CompareAndSet(
    uint64_t expected, std::vector<ChainLink> links) {
  RETURN_IF_ERROR(CheckLinks(links));
  ASSIGN_OR_RETURN(const Stored stored, ReadStored());
  if (stored.chain.version != expected) {
    return ChainChangedStatus(expected, stored.chain.version);
  }
  Chain chain{expected + 1, std::move(links)};
  const EtcdCheck same{EtcdCheck::Kind::kRevision, key_, stored.revision};
  const EtcdWrite put{EtcdWrite::Kind::kPut, key_, EncodeChain(chain)};
  const absl::Status set = session_.Commit({&same, 1}, {&put, 1}).status();
  if (set.ok()) return chain;
  if (!absl::IsAborted(set)) return set;
  ASSIGN_OR_RETURN(const Stored now, ReadStored());
  return ChainChangedStatus(expected, now.chain.version);
}

}  // namespace kafed::metastore
