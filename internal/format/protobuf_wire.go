package format

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// This file writes messages with their fields in the order of their numbers, as Java does. The library's own encoder gives no order, or
// one with the members of oneofs last. The entries of a map are ordered by key: no order is promised to anyone, but equal requests
// make equal bytes.

type protoField struct {
	desc  protoreflect.FieldDescriptor
	value protoreflect.Value
}

func appendMessage(b []byte, m protoreflect.ProtoMessage) []byte {
	return appendFields(b, m.ProtoReflect())
}

func appendFields(b []byte, m protoreflect.Message) []byte {
	var fields []protoField
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		fields = append(fields, protoField{d, v})
		return true
	})
	slices.SortFunc(fields, func(x, y protoField) int { return cmp.Compare(x.desc.Number(), y.desc.Number()) })
	for _, f := range fields {
		switch {
		case f.desc.IsMap():
			b = appendMap(b, f.desc, f.value.Map())
		case f.desc.IsList():
			b = appendList(b, f.desc, f.value.List())
		default:
			b = appendField(b, f.desc, f.value)
		}
	}
	return b
}

func appendList(b []byte, d protoreflect.FieldDescriptor, list protoreflect.List) []byte {
	if !d.IsPacked() {
		for i := range list.Len() {
			b = appendField(b, d, list.Get(i))
		}
		return b
	}
	var body []byte
	for i := range list.Len() {
		body = appendScalar(body, d.Kind(), list.Get(i))
	}
	return protowire.AppendBytes(protowire.AppendTag(b, d.Number(), protowire.BytesType), body)
}

func appendMap(b []byte, d protoreflect.FieldDescriptor, entries protoreflect.Map) []byte {
	keys := make([]protoreflect.MapKey, 0, entries.Len())
	entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, compareKeys)
	for _, k := range keys {
		entry := appendField(nil, d.MapKey(), k.Value())
		entry = appendField(entry, d.MapValue(), entries.Get(k))
		b = protowire.AppendBytes(protowire.AppendTag(b, d.Number(), protowire.BytesType), entry)
	}
	return b
}

func compareKeys(x, y protoreflect.MapKey) int {
	switch a := x.Interface().(type) {
	case bool:
		return cmp.Compare(protowire.EncodeBool(a), protowire.EncodeBool(y.Bool()))
	case int32, int64:
		return cmp.Compare(x.Int(), y.Int())
	case uint32, uint64:
		return cmp.Compare(x.Uint(), y.Uint())
	}
	return cmp.Compare(x.String(), y.String())
}

var protoWireTypes = map[protoreflect.Kind]protowire.Type{
	protoreflect.BoolKind: protowire.VarintType, protoreflect.EnumKind: protowire.VarintType,
	protoreflect.Int32Kind: protowire.VarintType, protoreflect.Sint32Kind: protowire.VarintType, protoreflect.Uint32Kind: protowire.VarintType,
	protoreflect.Int64Kind: protowire.VarintType, protoreflect.Sint64Kind: protowire.VarintType, protoreflect.Uint64Kind: protowire.VarintType,
	protoreflect.Sfixed32Kind: protowire.Fixed32Type, protoreflect.Fixed32Kind: protowire.Fixed32Type, protoreflect.FloatKind: protowire.Fixed32Type,
	protoreflect.Sfixed64Kind: protowire.Fixed64Type, protoreflect.Fixed64Kind: protowire.Fixed64Type, protoreflect.DoubleKind: protowire.Fixed64Type,
	protoreflect.StringKind: protowire.BytesType, protoreflect.BytesKind: protowire.BytesType,
	protoreflect.MessageKind: protowire.BytesType, protoreflect.GroupKind: protowire.StartGroupType,
}

func appendField(b []byte, d protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	b = protowire.AppendTag(b, d.Number(), protoWireTypes[d.Kind()])
	switch d.Kind() {
	case protoreflect.MessageKind:
		return protowire.AppendBytes(b, appendFields(nil, v.Message()))
	case protoreflect.GroupKind:
		return protowire.AppendTag(appendFields(b, v.Message()), d.Number(), protowire.EndGroupType)
	}
	return appendScalar(b, d.Kind(), v)
}

func appendScalar(b []byte, k protoreflect.Kind, v protoreflect.Value) []byte {
	switch k {
	case protoreflect.BoolKind:
		return protowire.AppendVarint(b, protowire.EncodeBool(v.Bool()))
	case protoreflect.EnumKind:
		return protowire.AppendVarint(b, uint64(v.Enum()))
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return protowire.AppendVarint(b, uint64(v.Int()))
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return protowire.AppendVarint(b, protowire.EncodeZigZag(v.Int()))
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return protowire.AppendVarint(b, v.Uint())
	case protoreflect.Sfixed32Kind:
		return protowire.AppendFixed32(b, uint32(v.Int()))
	case protoreflect.Sfixed64Kind:
		return protowire.AppendFixed64(b, uint64(v.Int()))
	case protoreflect.Fixed32Kind:
		return protowire.AppendFixed32(b, uint32(v.Uint()))
	case protoreflect.Fixed64Kind:
		return protowire.AppendFixed64(b, v.Uint())
	case protoreflect.FloatKind:
		return protowire.AppendFixed32(b, javaFloatBits(v.Float()))
	case protoreflect.DoubleKind:
		return protowire.AppendFixed64(b, javaDoubleBits(v.Float()))
	case protoreflect.StringKind:
		return protowire.AppendString(b, v.String())
	}
	return protowire.AppendBytes(b, v.Bytes())
}
