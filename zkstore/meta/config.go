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
