package meta

// EntityType is a folder below /config.
type EntityType string

const (
	TopicEntity    EntityType = "topics"
	BrokerEntity   EntityType = "brokers"
	ClientEntity   EntityType = "clients"
	UserEntity     EntityType = "users"
	IPEntity       EntityType = "ips"
	DefaultEntity             = "<default>" // the entity name of a type's default
	ClientsSegment            = "clients"   // in /config/users/<user>/clients/<client>
)

// Entity names one set of dynamic configs.
type Entity struct {
	Type EntityType
	Name string // sanitised as in the znode path, e.g. "orders", "<default>", "alice/clients/app%20one"
}

// String returns "type/name": the entity_path of a change notification, and the path below /config.
func (e Entity) String() string { return string(e.Type) + "/" + e.Name }
