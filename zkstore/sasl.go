package zkstore

func (w *wireConn) login(a *SASL) error { return errPending }
