"""A private ActiveMQ with a STOMP listener that keeps all in memory."""

import os
import re

from . import processes

CONFIGURATION = """<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" persistent="false" brokerName="bench">
    <transportConnectors><transportConnector uri="stomp://127.0.0.1:0"/></transportConnectors>
  </broker>
</beans>
"""
LOGGING = """log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%m%n
"""


class Broker:
    def __init__(self, folder):
        place = os.path.join(folder, "broker")
        os.makedirs(place)
        for name, text in (("broker.xml", CONFIGURATION), ("log4j.properties", LOGGING)):
            with open(os.path.join(place, name), "w", encoding="utf-8") as file:
                file.write(text)
        log = os.path.join(place, "log")
        processes.start(
            [
                "java", "-Xmx512m", f"-Dlog4j.configuration=file:{place}/log4j.properties", "-Dactivemq.home=/usr/share/activemq",
                f"-Dactivemq.base={place}", f"-Djava.io.tmpdir={place}", "-jar", "/usr/share/activemq/bin/activemq.jar",
                "start", f"xbean:file:{place}/broker.xml",
            ],
            log,
        )

        def port():
            with open(log, encoding="utf-8") as output:
                return re.search(r"Listening for connections at: stomp://\S+?:(\d+)", output.read())

        self.port = int(processes.until(f"the broker (see {log})", port, 120)[1])
