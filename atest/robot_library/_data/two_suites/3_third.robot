*** Settings ***
Resource    ../power.resource


*** Test Cases ***
A Resource File Brings The Library
    Power The Board Up
    Power Off
