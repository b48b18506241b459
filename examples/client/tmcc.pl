#!/usr/bin/perl
# A small tmcc, written from docs/protocol.md alone: asks over TCP, UDP or a
# proxy's unix socket, follows redirects, and prints the reply; with -k each
# line as key<TAB>value, with -b NAME one block of fullconfig.
#
#   tmcc.pl [-u] [-k] [-b BLOCK] [-n VNODE] HOST:PORT|SOCKET COMMAND [WORD...]
use strict;
use warnings;
use Getopt::Long qw(:config bundling require_order);
use IO::Socket::INET;
use IO::Socket::UNIX;

my %opt;
GetOptions(\%opt, 'u', 'k', 'b=s', 'n=s') && @ARGV >= 2 or die "usage: tmcc.pl [-u] [-k] [-b BLOCK] [-n VNODE] HOST:PORT|SOCKET COMMAND [WORD...]\n";
my ($where, @words) = @ARGV;

sub ask {
	my ($to, $vnode) = @_;
	my $s = $to =~ m{/}
		? IO::Socket::UNIX->new($to)
		: IO::Socket::INET->new(PeerAddr => $to, PeerPort => 7777, Proto => $opt{u} ? 'udp' : 'tcp');
	$s or die "tmcc.pl: connect to $to: $!\n";
	syswrite $s, ($vnode ? "VNODEID=$vnode " : '') . 'VERSION=40 ' . join('', map { "$_ " } @words);
	local $SIG{ALRM} = sub { exit 0 };    # over UDP an empty reply is no datagram
	alarm($opt{u} ? 5 : 30);
	$s->shutdown(1) unless $opt{u};
	my $reply = '';
	while (defined(my $n = sysread $s, my $part, 65536)) {
		$reply .= $part;
		last if !$n || $opt{u};
	}
	return $reply;
}

my ($vnode, $reply) = ($opt{n});
for (my $hops = 0; ; $hops++) {
	$reply = ask($where, $vnode);
	$reply =~ /\AREDIRECT=([^:\n]+)(?::([^\n]*))?/ or last;
	die "tmcc.pl: more than five redirects\n" if $hops == 5;
	($where, $vnode) = ($1, $2 // $vnode);
}
if (defined $opt{b}) {
	($reply) = $reply =~ /^\*\*\* \Q$opt{b}\E\n(.*?)^\*\*\* \Q$opt{b}\E\n/ms or die "tmcc.pl: no block $opt{b}\n";
}
print $reply and exit unless $opt{k};
for my $line (split /\n/, $reply) {
	# A quoted value ends at the quote that a space or the line's end follows.
	while ($line =~ /\G\s*(?:(\w+)=(?:"(.*?)"(?=\s|$)|'(.*?)'(?=\s|$)|(\S*))|(\S+))/g) {
		print defined $5 ? "$5\n" : "$1\t" . ($2 // $3 // $4) . "\n";
	}
}
