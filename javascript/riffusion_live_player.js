// Gapless playback of the chunks of a live session.
//
// Each chunk is scheduled at the sample at which its predecessor ends, on the clock of the audio context. The context
// runs at the sample rate of the chunks, so that they are not resampled one by one.

(() => {
    "use strict";

    const shared = (window.riffusionLive = window.riffusionLive || {});

    const LEAD = 0.12; // seconds from begin() to the first sample
    const FADE = 0.012; // seconds; length of the fades at the beginning and the end of playback
    const EARLY = 0.1; // seconds, plus one buffer of the sound card, by which a chunk must arrive before it is due

    function oddPart(number) {
        while (number % 2 === 0) {
            number /= 2;
        }
        return number;
    }

    shared.Player = class {
        constructor(rate, channels, volume) {
            this.rate = rate;
            this.channels = channels;
            this.context = new AudioContext({sampleRate: rate, latencyHint: "playback"});
            this.volume = this.context.createGain();
            this.volume.gain.value = volume;
            this.volume.connect(this.context.destination);
            this.waiting = []; // chunks that are loaded but not scheduled
            this.anchor = null; // {frame, sample}: the sample that plays at a frame of the context; null: nothing plays
            this.last = null; // gain node of the last scheduled chunk, and the time at which it fades out
            this.loaded = 0; // samples that were loaded
            this.end = 0; // the sample after the last scheduled one
            this.paused = false;
        }

        frame() {
            return Math.round(this.context.currentTime * this.rate);
        }

        // The sample at the current frame of the context.
        position() {
            if (!this.anchor) {
                return this.end;
            }
            const at = this.anchor.sample + this.frame() - this.anchor.frame;
            return Math.min(Math.max(at, this.anchor.sample), this.end);
        }

        // The sample that is heard now: position() less the output latency.
        audible() {
            if (!this.anchor) {
                return this.end;
            }
            const latency = this.context.outputLatency || this.context.baseLatency || 0;
            return Math.max(this.position() - Math.round(latency * this.rate), this.anchor.sample);
        }

        add(start, numbers) {
            const length = numbers.length / this.channels;
            const buffer = this.context.createBuffer(this.channels, length, this.rate);
            for (let channel = 0; channel < this.channels; channel++) {
                const samples = buffer.getChannelData(channel);
                for (let index = 0; index < length; index++) {
                    samples[index] = numbers[index * this.channels + channel] / 32768;
                }
            }
            this.waiting.push({start, stop: start + length, buffer});
            this.loaded = start + length;
            // currentTime advances by whole buffers of the sound card: what is due within one buffer may be past already.
            const early = EARLY + (this.context.baseLatency || 0);
            if (this.anchor && this.end - this.position() > early * this.rate) {
                this.schedule();
            }
        }

        // Starts to play the chunks that wait.
        begin() {
            if (!this.anchor && this.waiting.length) {
                this.last = null;
                // Chunks begin at multiples of a number of samples whose time in seconds is exact in binary. The first
                // frame must be such a multiple, too: browsers interpolate where a chunk starts between two samples.
                const grid = oddPart(this.rate);
                const frame = Math.ceil((this.frame() + LEAD * this.rate) / grid) * grid;
                this.anchor = {frame, sample: this.waiting[0].start};
                this.schedule();
            }
        }

        schedule() {
            for (const {start, stop, buffer} of this.waiting.splice(0)) {
                const source = this.context.createBufferSource();
                const fader = this.context.createGain();
                source.buffer = buffer;
                source.connect(fader).connect(this.volume);
                source.onended = () => fader.disconnect();
                const frame = this.anchor.frame + start - this.anchor.sample;
                const end = (frame + stop - start) / this.rate;
                const fadeOut = end - FADE;
                if (this.last) {
                    this.last.fader.gain.cancelScheduledValues(this.last.fadeOut); // playback continues: no fade-out
                } else {
                    fader.gain.setValueAtTime(0, frame / this.rate);
                    fader.gain.linearRampToValueAtTime(1, frame / this.rate + FADE);
                }
                // Fades out at the end unless the next chunk arrives, so that no timer is needed then.
                fader.gain.setValueAtTime(1, fadeOut);
                fader.gain.linearRampToValueAtTime(0, end);
                source.start(frame / this.rate);
                this.last = {fader, fadeOut};
                this.end = stop;
            }
        }

        // Clears the anchor once the last sample was played; begin() sets a new one.
        stopClockAtEnd() {
            if (this.anchor && this.position() >= this.end) {
                this.anchor = null;
            }
        }

        pause(paused) {
            this.paused = paused;
            return paused ? this.context.suspend() : this.context.resume();
        }

        setVolume(value) {
            this.volume.gain.setTargetAtTime(value, this.context.currentTime, 0.01);
        }

        // Stops playback for good; position() still returns the last sample that was played.
        halt() {
            this.end = this.position();
            this.anchor = null;
            this.close();
        }

        close() {
            const {context, volume} = this;
            if (!this.closing) {
                this.closing = true;
                volume.gain.setTargetAtTime(0, context.currentTime, FADE / 3);
                setTimeout(() => context.close(), 300);
            }
        }
    };
})();
