#!/usr/bin/perl
# A tmcd of thirty lines that answers nodeid, status and creator, for one host
# with one vnode, over TCP. It prints its port and serves until it is killed.
use strict;
use warnings;
use IO::Socket::INET;

my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64, ReuseAddr => 1) or die "listen: $!";
$| = 1;
print $server->sockport, "\n";
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
while (1) {
    my $client = $server->accept or next;
    if (fork // next) { close $client; next; }
    close $server;
    alarm 10;
    sysread $client, my $request, 32768;
    my ($node, $version) = ('pc1', 2);
    my @words = split / /, $request // '', -1;
    while (@words && $words[0] =~ /^(VNODEID|VERSION)=(.*)$/) {
        if ($1 eq 'VERSION') { $version = $2 } else { $node = $2 }
        shift @words;
    }
    my $command = shift @words // '';
    exit unless $node =~ /^(pc1|pcvm1-1)$/;
    my $name = $node eq 'pc1' ? 'vhost-0' : 'node-a';
    print $client "$node\n" if $command eq 'nodeid';
    print $client "ALLOCATED=jails/demo NICKNAME=$name\n" if $command eq 'status';
    print $client $version =~ /^(2[1-9]|[3-9]\d)/ ? "CREATOR=alice SWAPPER=bob\n" : "CREATOR=alice\n" if $command eq 'creator';
    exit;
}
