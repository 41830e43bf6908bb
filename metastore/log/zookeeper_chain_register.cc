#include "metastore/log/zookeeper_chain_register.h"

#include <utility>

#include "common/status_macros.h"

namespace kafed::metastore {

ZooKeeperChainRegister::ZooKeeperChainRegister(ZooKeeperSession* session,
                                               std::string path)
    : session_(*session), path_(std::move(path)) {}

absl::StatusOr<ZooKeeperChainRegister::Stored>
ZooKeeperChainRegister::ReadStored() {
  const auto node = session_.Get(path_);
  if (absl::IsNotFound(node.status())) return Stored();
  RETURN_IF_ERROR(node.status());
  ASSIGN_OR_RETURN(Chain chain, DecodeChain(node->data));
  return Stored{std::move(chain), node->version};
}

absl::StatusOr<Chain> ZooKeeperChainRegister::Read() {
  // Behind whatever was acknowledged to another client.
  RETURN_IF_ERROR(session_.Sync(path_));
  ASSIGN_OR_RETURN(Stored stored, ReadStored());
  return std::move(stored.chain);
}

absl::StatusOr<Chain> ZooKeeperChainRegister::CompareAndSet(
    uint64_t expected, std::vector<ChainLink> links) {
  RETURN_IF_ERROR(CheckLinks(links));
  ASSIGN_OR_RETURN(const Stored stored, ReadStored());
  if (stored.chain.version != expected) {
    return ChainChangedStatus(expected, stored.chain.version);
  }
  Chain chain{expected + 1, std::move(links)};
  const std::string text = EncodeChain(chain);
  absl::Status set;
  if (expected == 0) {
    RETURN_IF_ERROR(session_.CreateFolders(path_));
    set = session_.Create(path_, text);
  } else {
    set = session_.Set(path_, text, stored.version).status();
  }
  if (set.ok()) return chain;
  if (!absl::IsAborted(set) && !absl::IsAlreadyExists(set)) return set;
  ASSIGN_OR_RETURN(const Stored now, ReadStored());
  return ChainChangedStatus(expected, now.chain.version);
}

}  // namespace kafed::metastore
