package grpcmw

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// exempt holds for the methods that operations needs when nothing else goes: health checks, reflection and channelz. No
// policy of this package rejects, delays or counts them as load, unless it is told to.
func exempt(method string) bool {
	if !strings.HasPrefix(method, "/grpc.") {
		return false
	}
	service, _ := splitMethod(method)
	switch service { // whole names: behind an UnknownServiceHandler the client chooses them
	case "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
		"grpc.channelz.v1.Channelz":
		return true
	}
	return false
}

// splitMethod cuts "/package.Service/Method" in two. What has no such form is all service.
func splitMethod(full string) (service, method string) {
	full = strings.TrimPrefix(full, "/")
	if i := strings.LastIndexByte(full, '/'); i >= 0 {
		return full[:i], full[i+1:]
	}
	return full, ""
}

// definition is that of a method, as far as the program has it; else nil.
func definition(full string) protoreflect.MethodDescriptor {
	service, method := splitMethod(full)
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	return s.Methods().ByName(protoreflect.Name(method))
}

// levels are the idempotency levels of methods, looked up once each. Only defined methods are kept, which are finitely many.
type levels struct{ known sync.Map }

func (l *levels) of(method string) descriptorpb.MethodOptions_IdempotencyLevel {
	if level, ok := l.known.Load(method); ok {
		return level.(descriptorpb.MethodOptions_IdempotencyLevel)
	}
	d := definition(method)
	if d == nil {
		return descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
	}
	o, _ := d.Options().(*descriptorpb.MethodOptions)
	level := o.GetIdempotencyLevel()
	l.known.Store(method, level)
	return level
}
