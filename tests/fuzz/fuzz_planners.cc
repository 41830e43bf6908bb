// The layer below gRPC: admin requests planned on a draft and committed, as
// the writer does it. After each request the image is sound (invariants.h), a
// refusal has changed nothing, and the entry gives the same image on a replay.
//
// Two to four requests go into one entry, as in a group commit; `Status` ends
// the entry and plays a round of the coordinator.
#include <algorithm>
#include <map>

#include "federation/image/entry_codec.h"
#include "federation/image/image_io.h"
#include "federation/image/incarnation.h"
#include "federation/image/invariants.h"
#include "federation/plan/planners.h"
#include "tests/fuzz/message_list.h"
#include "tests/fuzz/support.h"

KAFED_FUZZ_LIST_MUTATOR

const kafed::fuzz::Kinds& kafed::fuzz::ListKinds() {
  static const Kinds* const kinds = new Kinds(RpcKinds());
  return *kinds;
}

namespace kafed::federation {
namespace {

bool IsRejection(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kPermissionDenied:
      return !status.message().empty();
    default:
      return false;
  }
}

class Player {
 public:
  Player() {
    v1::Record record;
    record.mutable_incarnation_began()->set_reason(std::string(kReasonNew));
    Open();
    draft_->Add(record);
    Close();
  }

  void Play(const fuzz::Listed& request) {
    if (request.kind == "Status") {
      Close();
      Coordinate();
      time_ms_ += 60'000;
      return;
    }
    if (!draft_) Open();
    const Draft::Checkpoint before = draft_->Mark();
    const absl::Status status = Plan(request);
    if (!status.ok()) {
      FUZZ_CHECK(IsRejection(status), status.ToString());
      draft_->Rollback(before);
      FUZZ_CHECK(draft_->image().Hash() == before.image.Hash());
      FUZZ_CHECK(draft_->entry().records_size() == before.records);
    }
    CheckSound(draft_->image(), request.kind);
    if (++planned_ == 3) Close();
  }

  // What a node would come back with: from a snapshot, and from the log.
  void End() {
    Close();
    std::string bytes;
    SnapshotWriter writer([&](std::string_view more) {
      bytes.append(more);
      return absl::OkStatus();
    });
    FUZZ_CHECK(writer.Begin(HeaderOf(image_)).ok());
    FUZZ_CHECK(AddRows(image_, &writer).ok());
    FUZZ_CHECK(writer.Finish().ok());
    SnapshotReader reader(SourceOf(bytes));
    const auto loaded = LoadImage(&reader);
    FUZZ_CHECK(loaded.ok(), loaded.status().ToString());
    FUZZ_CHECK(loaded->Hash() == image_.Hash());
    FUZZ_CHECK(loaded->position() == image_.position());
  }

 private:
  static void CheckSound(const Image& image, std::string_view after) {
    for (const std::string& violation : FindViolations(image)) {
      fuzz::Broken("FindViolations(image).empty()", __FILE__, __LINE__,
                   std::string(after) + ": " + violation);
    }
  }

  void Open() {
    v1::EntryHeader header;
    header.set_entry_id("0123456789abcdef");
    header.mutable_position()->set_incarnation(1);
    header.mutable_position()->set_nonce(7);
    header.mutable_position()->set_index(image_.head().index.value() + 1);
    header.set_feature_level(kFeatureLevel);
    header.set_predecessor_hash(image_.head().header_hash);
    header.set_time_ms(++time_ms_);
    draft_.emplace(image_, header);
    planned_ = 0;
  }

  void Close() {
    if (!draft_) return;
    const auto decoded = DecodeEntry(EncodeEntry(draft_->entry()));
    FUZZ_CHECK(decoded.ok(), decoded.status().ToString());
    const absl::Status applied = ApplyEntry(*decoded, &image_, nullptr);
    FUZZ_CHECK(applied.ok(), applied.ToString());
    FUZZ_CHECK(image_.Hash() == draft_->image().Hash());
    FUZZ_CHECK(image_.head().header_hash == draft_->image().head().header_hash);
    draft_.reset();
  }

  // What the node does by itself: plans ahead, creates and deletes Kafka
  // topics, writes markers.
  void Coordinate() {
    Open();
    PlanAhead(3, &*draft_);
    std::vector<v1::Record> facts;
    const Image& image = draft_->image();
    image.table(Table::kKafkaTopics)
        .ForEach([&](std::string_view key, std::string_view value) {
          const auto row = DecodeRow<KafkaTopic>(value);
          const uint32_t id = ByteReader(key).Big32();
          v1::Record& fact = facts.emplace_back();
          if (row.state == KafkaTopicState::kPlanned) {
            fact.mutable_kafka_topic_created()->set_id(id);
            fact.mutable_kafka_topic_created()->set_replication(3);
          } else if (row.state == KafkaTopicState::kDoomed) {
            fact.mutable_kafka_topic_deleted()->set_id(id);
          } else {
            facts.pop_back();
          }
        });
    image.table(Table::kPendingMarkers)
        .ForEach([&](std::string_view key, std::string_view value) {
          ByteReader reader(key);
          auto& written = *facts.emplace_back().mutable_markers_written();
          written.set_vpc(std::string(reader.String()));
          written.add_hosts(std::string(reader.rest()));
          written.set_membership_version(
              DecodeRow<PendingMarker>(value).version);
        });
    for (v1::Record& fact : facts) draft_->Add(std::move(fact));
    CheckSound(draft_->image(), "coordinator");
    Close();
  }

  template <typename Message>
  static const Message& As(const fuzz::Listed& request) {
    return static_cast<const Message&>(*request.message);
  }

  template <typename Message, typename Planner>
  absl::Status Run(Planner planner, const fuzz::Listed& request) {
    return planner(As<Message>(request), &*draft_).status();
  }

  absl::Status Plan(const fuzz::Listed& request) {
    using Method = absl::Status (Player::*)(const fuzz::Listed&);
    static const auto* const methods = new std::map<std::string, Method>{
        {"AddSubCluster", &Player::AddSubCluster},
        {"UpdateSubCluster", &Player::UpdateSubCluster},
        {"RemoveSubCluster", &Player::RemoveSubCluster},
        {"CreateTopic", &Player::CreateTopic},
        {"DeleteTopic", &Player::DeleteTopic},
        {"ImportHosts", &Player::ImportHosts},
        {"RemoveHosts", &Player::RemoveHosts},
        {"CreateVpc", &Player::CreateVpc},
        {"AddVpcHosts", &Player::AddVpcHosts},
        {"RemoveVpcHosts", &Player::RemoveVpcHosts},
        {"DeleteVpc", &Player::DeleteVpc},
        {"AddResource", &Player::AddResource},
        {"RemoveResource", &Player::RemoveResource},
        {"AddInstance", &Player::AddInstance},
        {"RemoveInstance", &Player::RemoveInstance},
        {"ReportInstance", &Player::ReportInstance},
        {"OpenSession", &Player::OpenSession},
        {"CloseSession", &Player::CloseSession},
        {"EndSession", &Player::EndSession},
    };
    const auto at = methods->find(request.kind);
    return at == methods->end() ? absl::OkStatus()
                                : (this->*at->second)(request);
  }

  absl::Status AddSubCluster(const fuzz::Listed& request) {
    return Run<v1::AddSubClusterRequest>(PlanAddSubCluster, request);
  }
  absl::Status UpdateSubCluster(const fuzz::Listed& request) {
    return Run<v1::UpdateSubClusterRequest>(PlanUpdateSubCluster, request);
  }
  absl::Status RemoveSubCluster(const fuzz::Listed& request) {
    return Run<v1::RemoveSubClusterRequest>(PlanRemoveSubCluster, request);
  }
  absl::Status CreateTopic(const fuzz::Listed& request) {
    const auto& create = As<v1::CreateTopicRequest>(request);
    const absl::Status status = PlanCreateTopic(create, &*draft_).status();
    if (!status.ok() || create.spec().kind() != v1::TOPIC_KIND_UNICAST) {
      return status;
    }
    std::vector<std::string> hosts;
    draft_->image()
        .table(Table::kHosts)
        .ForEach([&](std::string_view id, std::string_view) {
          hosts.emplace_back(id);
        });
    return PlanBindHosts(hosts, draft_->image().FindTopic(create.spec().name()),
                         &*draft_);
  }
  absl::Status DeleteTopic(const fuzz::Listed& request) {
    return Run<v1::DeleteTopicRequest>(PlanDeleteTopic, request);
  }
  absl::Status ImportHosts(const fuzz::Listed& request) {
    const auto& import = As<v1::ImportHostsRequest>(request);
    const std::vector<v1::HostSpec> hosts(import.hosts().begin(),
                                          import.hosts().end());
    const absl::Status checked = CheckImport(hosts, draft_->image());
    if (!checked.ok()) return checked;
    return PlanAddHosts(hosts, (import.total() & 1) != 0, &*draft_);
  }
  absl::Status RemoveHosts(const fuzz::Listed& request) {
    const auto& remove = As<v1::RemoveHostsRequest>(request);
    const std::vector<std::string> ids(remove.ids().begin(),
                                       remove.ids().end());
    return PlanRemoveHosts(ids, remove.cascade(), &*draft_);
  }
  absl::Status CreateVpc(const fuzz::Listed& request) {
    const absl::Status status =
        Run<v1::CreateVpcRequest>(PlanCreateVpc, request);
    if (status.ok()) {
      PlanOwner(As<v1::CreateVpcRequest>(request).id(), reports_, &*draft_);
    }
    return status;
  }
  absl::Status AddVpcHosts(const fuzz::Listed& request) {
    return PlanAddVpcHosts(As<v1::AddVpcHostsRequest>(request), {}, &*draft_)
        .status();
  }
  absl::Status RemoveVpcHosts(const fuzz::Listed& request) {
    return Run<v1::RemoveVpcHostsRequest>(PlanRemoveVpcHosts, request);
  }
  absl::Status DeleteVpc(const fuzz::Listed& request) {
    return Run<v1::DeleteVpcRequest>(PlanDeleteVpc, request);
  }
  absl::Status AddResource(const fuzz::Listed& request) {
    return Run<v1::AddResourceRequest>(PlanAddResource, request);
  }
  absl::Status RemoveResource(const fuzz::Listed& request) {
    return Run<v1::RemoveResourceRequest>(PlanRemoveResource, request);
  }
  absl::Status AddInstance(const fuzz::Listed& request) {
    const absl::Status status =
        Run<v1::AddInstanceRequest>(PlanAddInstance, request);
    if (status.ok()) {
      PlanOrphans(As<v1::AddInstanceRequest>(request).spec().region(), reports_,
                  &*draft_);
    }
    return status;
  }
  absl::Status RemoveInstance(const fuzz::Listed& request) {
    return PlanRemoveInstance(As<v1::RemoveInstanceRequest>(request), reports_,
                              &*draft_)
        .status();
  }
  absl::Status ReportInstance(const fuzz::Listed& request) {
    const auto& report = As<v1::ReportInstanceRequest>(request);
    // Whatever was reported: planners take it as it is.
    reports_[report.id()].assign(report.load().begin(), report.load().end());
    const std::vector<std::string> vpcs(report.vpcs().begin(),
                                        report.vpcs().end());
    PlanRelieve(report.id(), vpcs, reports_, &*draft_);
    return absl::OkStatus();
  }
  absl::Status OpenSession(const fuzz::Listed& request) {
    return PlanOpenSession(As<v1::OpenSessionRequest>(request), 900'000, 30'000,
                           &*draft_)
        .status();
  }
  absl::Status CloseSession(const fuzz::Listed& request) {
    const auto& close = As<v1::CloseSessionRequest>(request);
    const std::vector<v1::SegmentCount> counts(close.counts().begin(),
                                               close.counts().end());
    return PlanCloseSession(close.session_id(), close.source(), counts,
                            "closed", false, &*draft_)
        .status();
  }
  absl::Status EndSession(const fuzz::Listed& request) {
    return PlanCloseSession(As<v1::EndSessionRequest>(request).session_id(), "",
                            {}, "ended", true, &*draft_)
        .status();
  }

  uint64_t time_ms_ = 1'700'000'000'000;
  Image image_;
  std::optional<Draft> draft_;
  int planned_ = 0;
  LoadReports reports_;
};

}  // namespace
}  // namespace kafed::federation

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kafed::federation::Player player;
  for (auto& request :
       kafed::fuzz::ParseList(kafed::fuzz::AsText(data, size))) {
    kafed::fuzz::KeepSmall(request.message.get());
    player.Play(request);
  }
  player.End();
  return 0;
}
