package broker

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// transportListeners are what to listen on.
func transportListeners(cfg *config.Config) (all []transport.Listener) {
	for _, l := range cfg.Listeners {
		all = append(all, transport.Listener{
			Name: l.Name, Protocol: l.Protocol, Address: net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))),
			InterBroker: l.Name == cfg.InterBrokerListener, Privileged: l.Name == controlListener(cfg),
		})
	}
	return all
}

// controlListener is the name of the listener on which controller and brokers speak.
func controlListener(cfg *config.Config) string {
	if cfg.ControlPlaneListener != "" {
		return cfg.ControlPlaneListener
	}
	return cfg.InterBrokerListener
}

func listenersSupported(cfg *config.Config) error {
	for _, l := range cfg.Listeners {
		if l.Protocol != "PLAINTEXT" {
			return fmt.Errorf("listener %s uses %s, which this version does not serve yet: only PLAINTEXT", l.Name, l.Protocol)
		}
	}
	return nil
}

// checkListeners refuses listeners that cannot be had (DynamicListenerConfig in DynamicBrokerConfig.scala; what is wrong with
// the settings themselves, config has found). Kafka stores what it then cannot bind.
func (b *Broker) checkListeners(old, new *config.Config) error {
	if err := listenersSupported(new); err != nil {
		return err
	}
	for _, l := range new.Listeners {
		if l.Port == 0 || slices.Contains(old.Listeners, l) || slices.ContainsFunc(old.Listeners, func(o config.Listener) bool {
			return o.Port == l.Port && !slices.Contains(new.Listeners, o) // its port will be free
		}) {
			continue
		}
		probe, err := net.Listen("tcp", net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))))
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		probe.Close()
	}
	return nil
}

// listenersChanged opens and closes listeners. Other addresses are advertised by whoever has applied the change.
func (b *Broker) listenersChanged(_, new *config.Config) {
	b.limitConnections(new)
	err := b.server.SetListeners(context.Background(), transportListeners(new)) // a few system calls
	b.otherListeners.Store(err != nil)
	if err != nil {
		b.log.Error("the listeners cannot be changed; the broker goes on with those it has", zap.Error(err))
	}
}

// endpoints are what to register: advertised.listeners, with the ports bound and this machine's name where none is given.
func (b *Broker) endpoints() ([]meta.Endpoint, error) {
	var out []meta.Endpoint
	for _, l := range b.dynamic.Current().Advertised {
		e := meta.Endpoint{Listener: l.Name, Protocol: l.Protocol, Host: l.Host, Port: l.Port}
		if e.Host == "" {
			name, err := os.Hostname()
			if err != nil {
				return nil, fmt.Errorf("advertised.listeners names no host for %s, and this machine's name is unknown: %w", l.Name, err)
			}
			e.Host = name
		}
		if addr, ok := b.server.Addr(l.Name).(*net.TCPAddr); ok && e.Port == 0 {
			e.Port = int32(addr.Port)
		}
		out = append(out, e)
	}
	return out, nil
}

func (b *Broker) addresses() []string {
	var out []string
	for _, l := range b.dynamic.Current().Listeners {
		if a := b.server.Addr(l.Name); a != nil {
			out = append(out, l.Name+"://"+a.String())
		}
	}
	return out
}

// Addr returns the bound address of a listener, nil if there is none of that name.
func (b *Broker) Addr(listener string) net.Addr { return b.server.Addr(listener) }
