// Package config reads the proxy's configuration: one flat map of dotted keys, as Confluent's REST Proxy has it, from defaults, a
// file, the environment and flags, in this order, the later winning.
//
// One table, [Table], says of every key what it means, its default and its limits. Loading checks against it, the getters read
// through it and docs/configuration.md is generated from it, so none of the three can say something else than the others.
//
// A flat map is kept on purpose: Java keys nest in ways that a tree cannot hold (client.sasl beside client.sasl.jaas.config).
package config
