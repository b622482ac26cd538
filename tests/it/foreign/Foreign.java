import java.util.List;
import java.util.Map;
import java.util.Properties;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.BackOff;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.EnableKafkaRetryTopic;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.RetryableTopic;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Real dead letters of others: two listeners of Spring, one of them with retry topics, and an application of Kafka
 * Streams, which fail at every record. Arguments: the broker, what the names of topics begin with, and a folder.
 * Says "ready" when the topics and their records are there, and runs until its input ends.
 */
public class Foreign {
    static final String[] TOPICS = {
        "plain", "plain-dlt", "ladder", "ladder-retry", "ladder-dlt", "streams", "streams-dlq",
    };
    static String broker;
    static String name;

    public static class Refused extends RuntimeException {
        Refused(String message, Throwable cause) {
            super(message, cause);
        }
    }

    static void refuse(String order) {
        throw new Refused("order " + order + " is refused", new IllegalArgumentException("no such customer"));
    }

    public static class Plain {
        @KafkaListener(topics = "#{systemProperties['name']}.plain", groupId = "#{systemProperties['name']}.plain")
        public void listen(String order) {
            refuse(order);
        }
    }

    public static class Ladder {
        @RetryableTopic(attempts = "3", backOff = @BackOff(delay = 100), autoCreateTopics = "false")
        @KafkaListener(topics = "#{systemProperties['name']}.ladder", groupId = "#{systemProperties['name']}.ladder")
        public void listen(String order) {
            refuse(order);
        }
    }

    @Configuration
    @EnableKafka
    @EnableKafkaRetryTopic
    public static class Beans {
        @Bean
        public TaskScheduler scheduler() {
            return new ThreadPoolTaskScheduler();
        }

        @Bean
        public KafkaTemplate<String, String> defaultRetryTopicKafkaTemplate() {
            return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(
                    Map.of("bootstrap.servers", broker), new StringSerializer(), new StringSerializer()));
        }

        @Bean
        public ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
            var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
            factory.setConsumerFactory(new DefaultKafkaConsumerFactory<>(
                    Map.of("bootstrap.servers", broker, "auto.offset.reset", "earliest"),
                    new StringDeserializer(), new StringDeserializer()));
            factory.getContainerProperties().setDeliveryAttemptHeader(true);
            var dead = new DeadLetterPublishingRecoverer(defaultRetryTopicKafkaTemplate());
            factory.setCommonErrorHandler(new DefaultErrorHandler(dead, new FixedBackOff(10, 2)));
            return factory;
        }

        @Bean
        public Plain plain() {
            return new Plain();
        }

        @Bean
        public Ladder ladder() {
            return new Ladder();
        }
    }

    static KafkaStreams streams(String folder) {
        var builder = new StreamsBuilder();
        builder.<String, String>stream(name + ".streams").foreach((key, order) -> refuse(order));
        var properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, name + ".streams");
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        properties.put(StreamsConfig.PROCESSING_EXCEPTION_HANDLER_CLASS_CONFIG,
                LogAndContinueProcessingExceptionHandler.class);
        properties.put(StreamsConfig.ERRORS_DEAD_LETTER_QUEUE_TOPIC_NAME_CONFIG, name + ".streams-dlq");
        return new KafkaStreams(builder.build(), properties);
    }

    static void prepare() throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", broker))) {
            var topics = List.of(TOPICS).stream().map(topic -> new NewTopic(name + "." + topic, 1, (short) 1));
            admin.createTopics(topics.toList()).all().get();
        }
        var template = new Beans().defaultRetryTopicKafkaTemplate();
        for (var topic : List.of("plain", "ladder", "streams")) {
            for (var order : List.of("4711", "4712")) {
                var record = new ProducerRecord<>(name + "." + topic, "key", order);
                record.headers().add("tenant-id", "acme".getBytes());
                template.send(record).get();
            }
        }
        template.getProducerFactory().reset();
    }

    public static void main(String[] arguments) throws Exception {
        broker = arguments[0];
        name = arguments[1];
        System.setProperty("name", name);
        prepare();
        System.out.println("ready");
        try (var streams = streams(arguments[2]); var spring = new AnnotationConfigApplicationContext(Beans.class)) {
            streams.start();
            while (System.in.read() >= 0) {
                // Nothing is said to it; what it waits for is the end.
            }
        }
        System.exit(0);
    }
}
