*** Settings ***
Documentation     An exporter that goes away in the middle of a keyword fails the keyword, at once and in one line.

Library           JumpstarterLibrary
Library           exporters.py

Suite Teardown    Clean Up
Test Setup        Connect To A New Exporter
Test Teardown     Disconnect From Exporter


*** Variables ***
${GONE}    *the exporter cannot be reached or went away*


*** Test Cases ***
A Call Fails
    [Timeout]    2 minutes
    Kill Exporter When It Is Busy    block
    Run Keyword And Expect Error    ${GONE}    Faulty Block

A Call Of A Coroutine Fails
    [Timeout]    2 minutes
    Kill Exporter When It Is Busy    block_async
    Run Keyword And Expect Error    ${GONE}    Faulty Block In Coroutine

Items Fail
    [Timeout]    2 minutes
    Kill Exporter When It Is Busy    ticks
    Run Keyword And Expect Error    ${GONE}    Faulty Ticks    count=1000000    timeout=1 minute

What Comes After Fails As Clearly
    Power On
    End Exporter
    Run Keyword And Expect Error    ${GONE}    Power Off

The Next Exporter Is Used As If Nothing Had Been
    End Exporter
    Run Keyword And Expect Error    ${GONE}    Power On
    Disconnect From Exporter
    Connect To A New Exporter
    Power On

A Driver That Raises Fails The Keyword Only
    Run Keyword And Expect Error    *RuntimeError: the relay is stuck    Faulty Fail    RuntimeError    plain
    Run Keyword And Expect Error    *SystemExit: the relay is stuck    Faulty Fail    SystemExit    plain
    Run Keyword And Expect Error    *MuteError: an error without text*    Faulty Fail    MuteError    plain
    Power On

A Stream That Takes Too Long Leaves The Device Free
    Run Keyword And Expect Error    *items did not come in 1 second*
    ...    Faulty Ticks    count=1000000    timeout=1 second
    Wait Until Keyword Succeeds    60 seconds    100 milliseconds    Nothing Is Held


*** Keywords ***
Connect To A New Exporter
    ${address} =    Start Exporter
    Connect To Exporter    host=${address}    insecure=True

Nothing Is Held
    ${held} =    Faulty Held
    Should Be Empty    ${held}
