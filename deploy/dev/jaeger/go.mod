// Jaeger's all-in-one, for deploy/dev/jaeger.sh. `go install` refuses a module that replaces another, as Jaeger's does, so
// this one says the same. All other versions follow from Jaeger's own requirements.
module fedcost.example.org/jaeger

go 1.25.0

require github.com/jaegertracing/jaeger v1.76.0

replace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0
