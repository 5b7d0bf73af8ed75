// Wanted by @peculiar/x509 before it is loaded.
import 'reflect-metadata'

export * from '@peculiar/x509'
