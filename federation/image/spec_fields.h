// Between the protos' specs and the rows that hold them field by field.
#pragma once

#include "federation/image/rows.h"
#include "kafed/v1/types.pb.h"

namespace kafed::federation {

void SetSpec(const v1::SubClusterSpec& spec, SubCluster* row);
v1::SubClusterSpec SpecOf(const SubCluster& row);

void SetSpec(const v1::TopicSpec& spec, Topic* row);
v1::TopicSpec SpecOf(const Topic& row);

void SetSpec(const v1::InstanceSpec& spec, Instance* row);
v1::InstanceSpec SpecOf(const std::string& id, const Instance& row);

v1::HostSpec SpecOf(const std::string& id, const Host& row);

LimitsFields FieldsOf(const v1::Limits& limits);
v1::Limits LimitsOf(const LimitsFields& fields);

}  // namespace kafed::federation
