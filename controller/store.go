package controller

// Store is what the controller needs of a ZooKeeper session: *zkstore.Store.
type Store interface{}
