package acl

// Operation is what somebody wants to do. The values are Kafka's codes on the wire (AclOperation.java).
type Operation int8

// Operations. Unknown, Any and All occur in bindings and filters only.
const (
	UnknownOperation Operation = iota
	AnyOperation
	All
	Read
	Write
	Create
	Delete
	Alter
	Describe
	ClusterAction
	DescribeConfigs
	AlterConfigs
	IdempotentWrite
	CreateTokens
	DescribeTokens
)

// ResourceType is what kind of thing it is done to. The values are Kafka's codes on the wire (ResourceType.java).
type ResourceType int8

// Resource types.
const (
	UnknownResource ResourceType = iota
	AnyResource
	Topic
	Group
	Cluster
	TransactionalID
	DelegationToken
	User
)

// ClusterName is the name of the one resource of type Cluster.
const ClusterName = "kafka-cluster"

// supported are the operations that make sense on a resource type (AclEntry.supportedOperations).
var supported = map[ResourceType][]Operation{
	Topic:           {Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs},
	Group:           {Read, Describe, Delete},
	Cluster:         {Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe},
	TransactionalID: {Describe, Write},
	DelegationToken: {Describe},
	User:            {CreateTokens, DescribeTokens},
}

// Supported returns the operations that make sense on a resource type. The slice must not be changed.
func Supported(t ResourceType) []Operation { return supported[t] }
